//! The client against the real `qemu-nbd`, on files; `qemu-img` is the judge.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use agent_blocks::{
    BlocksError, Changes, Chunk, ErrorKind, Extent, ExtentKind, MapDisk, NbdSource, NbdTarget,
    ReadDisk, ReadPlan, Settings, WriteDisk,
    extent::{clip, to_clusters},
    nbd::{Endpoint, Reply, StatusWalk, ZeroOptions},
    qemu_nbd::{Access, FileFormat, Image, QemuNbd},
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Data without zeroes that differs from place to place.
fn pattern(offset: u64, length: u64) -> Vec<u8> {
    (offset..offset + length)
        .map(|at| (at / 512 % 250) as u8 + 1)
        .collect()
}

/// A sparse file: data where the extents say, holes elsewhere.
fn sparse(directory: &TempDir, size: u64, data: &[(u64, u64)]) -> PathBuf {
    let path = directory.path().join("disk.raw");
    let file = std::fs::File::create_new(&path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length) in data {
        std::os::unix::fs::FileExt::write_all_at(&file, &pattern(*offset, *length), *offset)
            .unwrap();
    }
    file.sync_all().unwrap();
    path
}

/// The map of an image as `qemu-img` tells it, neighbours of one kind joined.
fn judged_map(path: &Path, format: &str) -> Vec<Extent> {
    #[derive(serde::Deserialize)]
    struct Run {
        start: u64,
        length: u64,
        zero: bool,
    }
    let json = run(
        "qemu-img",
        &["map", "-f", format, "--output=json", path.to_str().unwrap()],
    );
    let runs: Vec<Run> = serde_json::from_str(&json).unwrap();
    let extents = runs.into_iter().map(|run| {
        let kind = if run.zero {
            ExtentKind::Zero
        } else {
            ExtentKind::Data
        };
        Ok::<_, ()>(Extent {
            offset: run.start,
            length: run.length,
            kind,
        })
    });
    agent_blocks::extent::merge(extents)
        .map(|extent| extent.unwrap())
        .collect()
}

fn collect(extents: impl Iterator<Item = Result<Extent, BlocksError>>) -> Vec<Extent> {
    extents.map(|extent| extent.unwrap()).collect()
}

/// All bytes of the disk, through the extents it calls allocated.
fn read_back(source: &NbdSource, plan: ReadPlan) -> Vec<u8> {
    let mut disk = vec![0; source.size_bytes() as usize];
    let mut reader = source.open_reader().unwrap();
    let mut position = 0;
    for chunk in reader.read(source.allocated().unwrap(), plan) {
        let (offset, end) = match chunk.unwrap() {
            Chunk::Data { offset, bytes } => {
                let end = offset + bytes.len() as u64;
                assert!(bytes.len() <= plan.chunk_bytes as usize);
                let last = (end - 1) / u64::from(plan.chunk_bytes);
                assert_eq!(
                    offset / u64::from(plan.chunk_bytes),
                    last,
                    "torn at {offset}"
                );
                disk[offset as usize..end as usize].copy_from_slice(&bytes);
                (offset, end)
            }
            Chunk::Zero { offset, length } => (offset, offset + length),
        };
        assert!(offset >= position, "{offset} after {position}");
        position = end;
    }
    disk
}

#[test]
fn a_sparse_file_has_the_map_of_qemu_img_and_the_bytes_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = [
        (0, 4096),
        (5 * MIB, MIB),
        (7 * MIB + 8192, 3 * MIB),
        (63 * MIB, MIB),
    ];
    let path = sparse(&directory, 64 * MIB, &data);
    let source = NbdSource::of_raw_file(&path, &Settings::default()).unwrap();
    assert_eq!(source.size_bytes(), 64 * MIB);
    assert_eq!(
        collect(source.allocated().unwrap()),
        judged_map(&path, "raw")
    );
    let file = std::fs::read(&path).unwrap();
    for (chunk_bytes, window) in [(65536, 1), (1 << 20, 16), (3 << 20, 40)] {
        let read = read_back(
            &source,
            ReadPlan {
                chunk_bytes,
                window,
            },
        );
        assert!(read == file, "{chunk_bytes} x {window}");
    }
}

#[test]
fn a_qcow2_chain_has_the_map_of_qemu_img_and_the_bytes_of_qemu_img() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (base, top, raw) = (path("base"), path("top"), path("raw"));
    run("qemu-img", &["create", "-q", "-f", "qcow2", &base, "32M"]);
    run(
        "qemu-io",
        &[
            "-f",
            "qcow2",
            "-c",
            "write -P 1 1M 3M",
            "-c",
            "write -P 2 20M 64k",
            &base,
        ],
    );
    run(
        "qemu-img",
        &[
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &base, &top,
        ],
    );
    run(
        "qemu-io",
        &[
            "-f",
            "qcow2",
            "-c",
            "write -P 3 2M 4k",
            "-c",
            "write -z 3M 1M",
            &top,
        ],
    );
    run("qemu-img", &["convert", "-O", "raw", &top, &raw]);
    let image = Image::File {
        path: top.clone().into(),
        format: FileFormat::Qcow2,
    };
    let source = NbdSource::of_image(&image, &Settings::default()).unwrap();
    assert_eq!(
        collect(source.allocated().unwrap()),
        judged_map(Path::new(&top), "qcow2")
    );
    assert!(read_back(&source, ReadPlan::default()) == std::fs::read(&raw).unwrap());
}

#[test]
fn holes_inside_of_what_is_read_are_told_as_zero() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 4 * MIB, &[(0, MIB), (2 * MIB, 65536)]);
    let source = NbdSource::of_raw_file(&path, &Settings::default()).unwrap();
    let mut reader = source.open_reader().unwrap();
    let all = Box::new([Ok(Extent::data(0, 4 * MIB))].into_iter());
    let chunks: Vec<Chunk> = reader
        .read(all, ReadPlan::default())
        .map(|chunk| chunk.unwrap())
        .collect();
    let mut partly = pattern(2 * MIB, 65536);
    partly.resize(MIB as usize, 0);
    let want = [
        Chunk::Data {
            offset: 0,
            bytes: pattern(0, MIB),
        },
        Chunk::Zero {
            offset: MIB,
            length: MIB,
        },
        Chunk::Data {
            offset: 2 * MIB,
            bytes: partly,
        },
        Chunk::Zero {
            offset: 3 * MIB,
            length: MIB,
        },
    ];
    assert!(chunks == want);
}

#[test]
fn a_reader_that_was_left_in_the_middle_reads_again_from_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 16 * MIB, &[(0, 16 * MIB)]);
    let source = NbdSource::of_raw_file(&path, &Settings::default()).unwrap();
    let mut reader = source.open_reader().unwrap();
    let plan = ReadPlan {
        chunk_bytes: 1 << 18,
        window: 8,
    };
    for start in [0, 5 * MIB, 3 * MIB, 15 * MIB] {
        let rest = clip(source.allocated().unwrap(), start..u64::MAX);
        let first = reader.read(Box::new(rest), plan).next().unwrap().unwrap();
        assert!(
            first
                == Chunk::Data {
                    offset: start,
                    bytes: pattern(start, 1 << 18)
                }
        );
    }
}

#[test]
fn a_source_without_tracking_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[]);
    let source = NbdSource::of_raw_file(&path, &Settings::default()).unwrap();
    let Changes::Unknown { reason } = source.changed_since("monday").unwrap() else {
        panic!("a raw file knows no changes");
    };
    assert!(reason.contains("monday"), "{reason}");
}

fn serve(path: &Path, access: Access) -> Endpoint {
    let settings = Settings::default();
    let server = QemuNbd::start(&Image::raw_file(path), access, &settings).unwrap();
    Endpoint::of_server(server, path.display().to_string(), &settings)
}

#[test]
fn what_a_sink_was_given_is_in_the_file_in_the_order_of_the_calls() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 64 * MIB, &[(0, 64 * MIB)]);
    let target = NbdTarget::open(serve(&path, Access::ReadWrite)).unwrap();
    let mut want = pattern(0, 64 * MIB);
    let mut sink = target.open_sink().unwrap();
    for step in 0..200_u64 {
        let offset = step * 7919 * 512 % (63 * MIB);
        let length = 512 + step * 4096;
        let place = &mut want[offset as usize..(offset + length) as usize];
        if step % 3 == 0 {
            sink.zero_at(offset, length).unwrap();
            place.fill(0);
        } else {
            let bytes = vec![step as u8 + 1; length as usize];
            sink.write_at(offset, &bytes).unwrap();
            place.copy_from_slice(&bytes);
        }
    }
    let large = pattern(1, 40 * MIB);
    sink.write_at(20 * MIB, &large).unwrap();
    want[20 * MIB as usize..60 * MIB as usize].copy_from_slice(&large);
    sink.flush().unwrap();
    assert!(std::fs::read(&path).unwrap() == want);
}

#[test]
fn zeroing_frees_the_space_of_a_file() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 64 * MIB, &[(0, 64 * MIB)]);
    let target = NbdTarget::open(serve(&path, Access::ReadWrite)).unwrap();
    let mut sink = target.open_sink().unwrap();
    sink.zero_at(0, 64 * MIB).unwrap();
    sink.flush().unwrap();
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < MIB);
}

#[test]
fn a_read_only_export_opens_no_sink() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[]);
    let target = NbdTarget::open(serve(&path, Access::ReadOnly)).unwrap();
    assert_eq!(target.open_sink().err().unwrap().kind(), ErrorKind::Denied);
}

#[test]
fn requests_that_leave_the_disk_are_refused_before_they_are_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[(0, MIB)]);
    let endpoint = serve(&path, Access::ReadWrite);
    let mut connection = endpoint.connect(&[]).unwrap();
    let kinds = [
        connection.send_read(MIB - 1, 2, true).unwrap_err().kind(),
        connection.send_read(u64::MAX, 2, true).unwrap_err().kind(),
        connection.send_read(0, 0, true).unwrap_err().kind(),
        connection.send_write(MIB, &[1]).unwrap_err().kind(),
        connection.send_block_status(0, 512).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Invalid; 5]);
    let cookie = connection.send_read(0, 512, true).unwrap();
    assert_eq!(
        connection.wait(cookie).unwrap(),
        Reply::Data(pattern(0, 512))
    );
}

#[test]
fn answers_can_be_waited_for_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 16 * MIB, &[(0, 16 * MIB)]);
    let endpoint = serve(&path, Access::ReadWrite);
    let mut connection = endpoint.connect(&[]).unwrap();
    let offsets: Vec<u64> = (0..16).map(|number| number * MIB).collect();
    let cookies: Vec<_> = offsets
        .iter()
        .map(|at| connection.send_read(*at, 65536, true).unwrap())
        .collect();
    for (offset, cookie) in offsets.iter().zip(cookies).rev() {
        assert!(connection.wait(cookie).unwrap() == Reply::Data(pattern(*offset, 65536)));
        assert_eq!(
            connection.wait(cookie).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn trim_and_zeroes_in_all_their_kinds_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 4 * MIB, &[(0, 4 * MIB)]);
    let endpoint = serve(&path, Access::ReadWrite);
    let mut connection = endpoint.connect(&[]).unwrap();
    let plain = ZeroOptions::default();
    let kept = ZeroOptions {
        no_hole: true,
        fast_only: false,
    };
    let sent = [
        connection.send_zeroes(0, 65536, plain).unwrap(),
        connection.send_zeroes(MIB, 65536, kept).unwrap(),
        connection.send_trim(2 * MIB, 65536).unwrap(),
        connection.send_flush().unwrap(),
    ];
    for cookie in sent {
        assert_eq!(connection.wait(cookie).unwrap(), Reply::Done);
    }
    let file = std::fs::read(&path).unwrap();
    assert!(file[..65536].iter().all(|byte| *byte == 0));
    assert!(
        file[MIB as usize..MIB as usize + 65536]
            .iter()
            .all(|byte| *byte == 0)
    );
    assert!(file[3 * MIB as usize..] == pattern(3 * MIB, MIB));
}

#[test]
fn a_dirty_bitmap_is_a_context_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk").to_str().unwrap().to_owned();
    run("qemu-img", &["create", "-q", "-f", "qcow2", &disk, "32M"]);
    run("qemu-img", &["bitmap", "--add", &disk, "monday"]);
    run(
        "qemu-io",
        &[
            "-f",
            "qcow2",
            "-c",
            "write 5M 1M",
            "-c",
            "write 20M 4k",
            &disk,
        ],
    );
    let image = Image::File {
        path: disk.into(),
        format: FileFormat::Qcow2,
    };
    let settings = Settings::default();
    let server =
        QemuNbd::start_with_bitmap(&image, Access::ReadOnly, Some("monday"), &settings).unwrap();
    let endpoint = Endpoint::of_server(server, "a disk", &settings);
    let context = "qemu:dirty-bitmap:monday";
    let connection = endpoint
        .connect(&["base:allocation", context, "qemu:none"])
        .unwrap();
    assert_eq!(connection.export().contexts.len(), 2);
    let walk = StatusWalk::new(connection, context, 0..u64::MAX).unwrap();
    let dirty: Vec<(u64, u64)> = walk
        .map(|run| run.unwrap())
        .filter(|run| run.flags == 1)
        .map(|run| (run.offset, run.length))
        .collect();
    assert_eq!(dirty, [(5 * MIB, MIB), (20 * MIB, 65536)]);
}

#[test]
fn what_cannot_be_opened_is_told_with_the_words_of_qemu() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let of = |path: PathBuf, format| NbdSource::of_image(&Image::File { path, format }, &settings);
    let words = |error: &BlocksError| std::error::Error::source(error).unwrap().to_string();

    let error = of(directory.path().join("missing"), FileFormat::Raw)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(words(&error).contains("No such file"), "{error:?}");

    let raw = sparse(&directory, MIB, &[]);
    let error = of(raw, FileFormat::Qcow2).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(words(&error).contains("not in qcow2 format"), "{error:?}");

    let missing = Settings {
        qemu_nbd: directory.path().join("qemu-nbd"),
        ..settings.clone()
    };
    let error = NbdSource::of_raw_file(Path::new("/dev/null"), &missing)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Setup, "{error:?}");
}

#[test]
fn a_directory_for_sockets_that_is_too_deep_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let settings = Settings {
        socket_dir: deep,
        ..Settings::default()
    };
    let error = NbdSource::of_raw_file(Path::new("/dev/null"), &settings)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Setup);
}

#[test]
fn a_server_that_never_serves_is_given_up_and_ended() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("qemu-nbd");
    std::fs::write(
        &program,
        "#!/bin/sh\necho waiting for the cluster >&2\nexec sleep 1000\n",
    )
    .unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let settings = Settings {
        qemu_nbd: program,
        start_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let error = NbdSource::of_raw_file(Path::new("/dev/null"), &settings)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("waiting for the cluster"), "{cause}");
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn the_server_goes_with_the_last_of_what_was_opened_and_so_does_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[(0, MIB)]);
    let settings = Settings::default();
    let server = QemuNbd::start(&Image::raw_file(&path), Access::ReadOnly, &settings).unwrap();
    let (process, socket) = (server.id(), server.socket());
    let mode =
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(socket.parent().unwrap()).unwrap());
    assert_eq!(mode & 0o777, 0o700);
    let source = NbdSource::open(Endpoint::of_server(server, "a disk", &settings)).unwrap();
    let mut reader = source.open_reader().unwrap();
    drop(source);
    let all = Box::new([Ok(Extent::data(0, MIB))].into_iter());
    assert_eq!(reader.read(all, ReadPlan::default()).count(), 1);
    drop(reader);
    assert!(!is_alive(process));
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_server_that_is_killed_is_an_error_of_the_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 64 * MIB, &[(0, 64 * MIB)]);
    let settings = Settings::default();
    let server = QemuNbd::start(&Image::raw_file(&path), Access::ReadOnly, &settings).unwrap();
    let process = server.id();
    let source = NbdSource::open(Endpoint::of_server(server, "a disk", &settings)).unwrap();
    let mut reader = source.open_reader().unwrap();
    let all = Box::new([Ok(Extent::data(0, 64 * MIB))].into_iter());
    let mut chunks = reader.read(all, ReadPlan::default());
    chunks.next().unwrap().unwrap();
    run("kill", &["-9", &process.to_string()]);
    let error = chunks.by_ref().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(chunks.next().is_none());
    drop(chunks);
    assert_eq!(
        source.open_reader().err().unwrap().kind(),
        ErrorKind::Unavailable
    );
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[(0, MIB)]);
    let endpoint = std::thread::spawn(move || serve(&path, Access::ReadOnly))
        .join()
        .unwrap();
    let mut connection = endpoint.connect(&[]).unwrap();
    let cookie = connection.send_read(0, 512, true).unwrap();
    assert_eq!(
        connection.wait(cookie).unwrap(),
        Reply::Data(pattern(0, 512))
    );
}

const CHILD_OF_TEST: &str = "BLOCKS_TEST_SERVE";

/// Serves until it is killed; started by the test below.
#[test]
fn a_server_dies_with_a_killed_process() {
    if let Some(path) = std::env::var_os(CHILD_OF_TEST) {
        let settings = Settings::default();
        let image = Image::raw_file(Path::new(&path));
        let server = QemuNbd::start(&image, Access::ReadOnly, &settings).unwrap();
        std::fs::write(format!("{}.pid", path.display()), server.id().to_string()).unwrap();
        std::thread::park();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, MIB, &[]);
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_dies_with_a_killed_process"])
        .env(CHILD_OF_TEST, &path)
        .env("TMPDIR", directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = format!("{}.pid", path.display());
    let process = wait_for(|| std::fs::read_to_string(&told).ok()?.parse::<u32>().ok());
    assert!(is_alive(process));
    agent.kill().unwrap();
    agent.wait().unwrap();
    wait_for(|| (!is_alive(process)).then_some(()));
}

fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "it did not happen within 20 seconds"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn extents_rounded_to_clusters_give_chunks_of_whole_clusters() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse(&directory, 8 * MIB, &[(4096, 4096), (MIB, 200_000)]);
    let source = NbdSource::of_raw_file(&path, &Settings::default()).unwrap();
    let mut reader = source.open_reader().unwrap();
    let clusters = to_clusters(source.allocated().unwrap(), 65536, source.size_bytes());
    for chunk in reader.read(
        Box::new(clusters),
        ReadPlan {
            chunk_bytes: 1 << 17,
            window: 4,
        },
    ) {
        let (offset, length) = match chunk.unwrap() {
            Chunk::Data { offset, bytes } => (offset, bytes.len() as u64),
            Chunk::Zero { offset, length } => (offset, length),
        };
        assert_eq!((offset % 65536, length % 65536), (0, 0));
    }
}
