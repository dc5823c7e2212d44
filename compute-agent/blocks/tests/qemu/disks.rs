//! Files as sources and targets.

use std::path::Path;

use agent_blocks::{
    BlocksError, Changes, Chunk, ErrorKind, Extent, ExtentKind, MapDisk, NbdSource, NbdTarget,
    ReadDisk, ReadPlan, Settings, WriteDisk,
    extent::{clip, to_clusters},
    qemu_nbd::{Access, FileFormat, Image},
};

use crate::disk::{MIB, pattern, run, serve, sparse};

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
            bytes: pattern(0, MIB).into(),
        },
        Chunk::Zero {
            offset: MIB,
            length: MIB,
        },
        Chunk::Data {
            offset: 2 * MIB,
            bytes: partly.into(),
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
                    bytes: pattern(start, 1 << 18).into()
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
