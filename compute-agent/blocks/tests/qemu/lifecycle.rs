//! The life of a server: start, failure, end.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use agent_blocks::{
    BlocksError, ErrorKind, Extent, NbdSource, ReadDisk, ReadPlan, Settings,
    nbd::{Endpoint, Reply},
    qemu_nbd::{Access, FileFormat, Image, QemuNbd},
};

use crate::disk::{MIB, pattern, run, serve, sparse};

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
        .args(["--exact", "lifecycle::a_server_dies_with_a_killed_process"])
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
