//! Single requests on a connection.

use agent_blocks::{
    ErrorKind, Settings,
    nbd::{Endpoint, Reply, StatusWalk, ZeroOptions},
    qemu_nbd::{Access, FileFormat, Image, QemuNbd},
};

use crate::disk::{MIB, pattern, run, serve, sparse};

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
