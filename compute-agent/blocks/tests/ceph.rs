//! RBD against a real Ceph cluster: sink, snapshots, diffs, bytes back.
//!
//! Wants `/etc/ceph/ceph.conf`, a pool `volumes`, the user `backup` that may use it, and the user
//! `admin` to make and remove images; images are named `blocks-test-*` and removed again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

use std::{
    error::Error,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use agent_blocks::{
    Changes, Chunk, DiskSink, ErrorKind, Extent, ExtentKind, MapDisk, RbdImage, RbdSource,
    RbdTarget, ReadDisk, ReadPlan, Settings, WriteDisk, extent::to_clusters,
};

const POOL: &str = "volumes";
const CONF: &str = "/etc/ceph/ceph.conf";
const MIB: u64 = 1 << 20;
const OBJECT: u64 = 4 * MIB;

/// The `rbd` of an administrator.
fn rbd(arguments: &[&str]) -> String {
    let output = Command::new("rbd")
        .args(["--id", "admin", "--conf", CONF])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rbd {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// An image of its own for each test, gone afterwards even when the test fails.
struct Scratch {
    name: String,
}

impl Scratch {
    fn named(test: &str) -> Self {
        if !Path::new(CONF).exists() {
            eprintln!("needs the lab's Ceph: there is no {CONF}");
        }
        Self {
            name: format!("blocks-test-{test}-{}", std::process::id()),
        }
    }

    fn create(test: &str, size: &str) -> Self {
        let scratch = Self::named(test);
        rbd(&["create", "--size", size, &scratch.spec()]);
        scratch
    }

    fn spec(&self) -> String {
        format!("{POOL}/{}", self.name)
    }

    fn image(&self) -> RbdImage {
        let mut image = RbdImage::new(POOL, &self.name);
        image.user = Some("backup".to_owned());
        image.conf = Some(CONF.into());
        image
    }

    fn snapshot(&self, name: &str) {
        rbd(&["snap", "create", &format!("{}@{name}", self.spec())]);
    }

    fn fill(&self, write: impl FnOnce(&mut dyn DiskSink)) {
        let target = RbdTarget::open(self.image(), &Settings::default()).unwrap();
        let mut sink = target.open_sink().unwrap();
        write(sink.as_mut());
        sink.flush().unwrap();
    }

    fn source(&self, snapshot: &str) -> RbdSource {
        RbdSource::open(self.image().at(snapshot), &Settings::default()).unwrap()
    }

    /// The bytes of a snapshot as Ceph's own tool exports them.
    fn exported(&self, snapshot: &str) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("exported");
        rbd(&[
            "export",
            &format!("{}@{snapshot}", self.spec()),
            path.to_str().unwrap(),
        ]);
        std::fs::read(path).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for arguments in [["snap", "purge"].as_slice(), &["rm"]] {
            let mut command = Command::new("rbd");
            command
                .args(["--id", "admin", "--conf", CONF])
                .args(arguments);
            let ended = command.arg(self.spec()).stdin(Stdio::null()).output();
            if !ended.is_ok_and(|output| output.status.success()) {
                eprintln!("rbd {arguments:?} {} did not succeed", self.spec());
            }
        }
    }
}

fn pattern(seed: u8, length: u64) -> Vec<u8> {
    (0..length)
        .map(|at| seed.wrapping_add((at / 4096) as u8) | 1)
        .collect()
}

fn known(changes: Changes<'_>) -> Vec<Extent> {
    match changes {
        Changes::Known(extents) => extents.map(|extent| extent.unwrap()).collect(),
        Changes::Unknown { reason } => panic!("{reason}"),
    }
}

/// Puts what the extents tell over `disk`, as a restore of a chain would.
fn apply(source: &RbdSource, extents: Vec<Extent>, disk: &mut [u8]) {
    let mut reader = source.open_reader().unwrap();
    let extents = Box::new(extents.into_iter().map(Ok));
    for chunk in reader.read(extents, ReadPlan::default()) {
        match chunk.unwrap() {
            Chunk::Data { offset, bytes } => {
                disk[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
            }
            Chunk::Zero { offset, length } => {
                disk[offset as usize..(offset + length) as usize].fill(0);
            }
        }
    }
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_full_and_an_incremental_rebuild_what_ceph_exports() {
    let scratch = Scratch::create("chain", "64M");
    scratch.fill(|sink| {
        assert_eq!(sink.size_bytes(), 64 * MIB);
        sink.write_at(0, &pattern(1, 65536)).unwrap();
        sink.write_at(OBJECT + 5000, &pattern(2, 4096)).unwrap();
        sink.write_at(4 * OBJECT, &pattern(3, 2 * OBJECT)).unwrap();
        sink.write_at(64 * MIB - 4096, &pattern(4, 4096)).unwrap();
    });
    scratch.snapshot("old");
    scratch.fill(|sink| {
        sink.write_at(8192, &pattern(5, 4096)).unwrap();
        sink.zero_at(4 * OBJECT, OBJECT).unwrap();
        sink.zero_at(5 * OBJECT, 65536).unwrap();
        sink.write_at(9 * OBJECT, &pattern(6, 200_000)).unwrap();
    });
    scratch.snapshot("new");
    scratch.fill(|sink| sink.write_at(0, &pattern(7, 64 * MIB)).unwrap());

    let old = scratch.source("old");
    assert_eq!(old.size_bytes(), 64 * MIB);
    let full: Vec<Extent> = old
        .allocated()
        .unwrap()
        .map(|extent| extent.unwrap())
        .collect();
    let held: u64 = full.iter().map(|extent| extent.length).sum();
    // Ceph keeps no holes in front of what an object holds: the last one counts as a whole.
    assert!(held < 13 * MIB, "{full:?}");
    let mut disk = vec![0; 64 * MIB as usize];
    apply(&old, full, &mut disk);
    assert!(disk == scratch.exported("old"));

    let new = scratch.source("new");
    let changes = known(new.changed_since("old").unwrap());
    let kinds: Vec<_> = changes
        .iter()
        .map(|extent| (extent.offset, extent.kind))
        .collect();
    assert_eq!(kinds[0], (8192, ExtentKind::Data));
    assert_eq!(kinds[1], (4 * OBJECT, ExtentKind::Zero));
    let clusters = to_clusters(changes.iter().copied().map(Ok::<_, ()>), 65536, 64 * MIB);
    let clusters: Vec<Extent> = clusters.map(|extent| extent.unwrap()).collect();
    assert!(
        clusters.iter().map(|extent| extent.length).sum::<u64>() < 2 * OBJECT,
        "{clusters:?}"
    );
    apply(&new, clusters, &mut disk);
    assert!(disk == scratch.exported("new"));
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn an_unchanged_disk_has_no_changes_and_an_empty_one_no_extents() {
    let scratch = Scratch::create("empty", "16M");
    scratch.snapshot("old");
    scratch.snapshot("new");
    let source = scratch.source("new");
    assert_eq!(source.allocated().unwrap().count(), 0);
    assert_eq!(known(source.changed_since("old").unwrap()), []);
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_clone_includes_what_its_parent_holds() {
    let parent = Scratch::create("parent", "32M");
    parent.fill(|sink| sink.write_at(OBJECT, &pattern(1, 2 * OBJECT)).unwrap());
    parent.snapshot("base");
    let clone = Scratch::named("clone");
    let base = format!("{}@base", parent.spec());
    rbd(&[
        "clone",
        "--rbd-default-clone-format",
        "2",
        &base,
        &clone.spec(),
    ]);
    clone.fill(|sink| {
        sink.write_at(OBJECT + 65536, &pattern(2, 4096)).unwrap();
        sink.zero_at(2 * OBJECT, OBJECT).unwrap();
    });
    clone.snapshot("old");
    clone.fill(|sink| sink.write_at(6 * OBJECT, &pattern(3, 4096)).unwrap());
    rbd(&["flatten", &clone.spec()]);
    clone.snapshot("new");

    let mut disk = vec![0; 32 * MIB as usize];
    let old = clone.source("old");
    let full = old
        .allocated()
        .unwrap()
        .map(|extent| extent.unwrap())
        .collect();
    apply(&old, full, &mut disk);
    assert!(disk == clone.exported("old"));
    let new = clone.source("new");
    apply(&new, known(new.changed_since("old").unwrap()), &mut disk);
    assert!(disk == clone.exported("new"));
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn an_image_that_grew_tells_what_is_new() {
    let scratch = Scratch::create("grown", "16M");
    scratch.fill(|sink| sink.write_at(0, &pattern(1, OBJECT)).unwrap());
    scratch.snapshot("old");
    rbd(&["resize", "--size", "32M", &scratch.spec()]);
    scratch.fill(|sink| sink.write_at(7 * OBJECT, &pattern(2, OBJECT)).unwrap());
    scratch.snapshot("new");
    let source = scratch.source("new");
    assert_eq!(source.size_bytes(), 32 * MIB);
    let changes = known(source.changed_since("old").unwrap());
    assert_eq!(changes, [Extent::data(7 * OBJECT, OBJECT)]);
    assert_eq!(scratch.source("old").size_bytes(), 16 * MIB);
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_striped_image_is_told_in_order() {
    let scratch = Scratch::named("striped");
    let striping = ["--stripe-unit", "65536", "--stripe-count", "4"];
    rbd(&[
        &["create", "--size", "64M"],
        striping.as_slice(),
        &[scratch.spec().as_str()],
    ]
    .concat());
    scratch.fill(|sink| {
        for place in [0, 320 << 10, 16 * MIB, 33 * MIB, 63 * MIB] {
            sink.write_at(place, &pattern(1, 100_000)).unwrap();
        }
    });
    scratch.snapshot("new");
    let source = scratch.source("new");
    let mut disk = vec![0; 64 * MIB as usize];
    let full = source
        .allocated()
        .unwrap()
        .map(|extent| extent.unwrap())
        .collect();
    apply(&source, full, &mut disk);
    assert!(disk == scratch.exported("new"));
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_lost_older_snapshot_is_an_unknown_change_and_no_empty_one() {
    let scratch = Scratch::create("lost", "16M");
    scratch.snapshot("new");
    let source = scratch.source("new");
    let Changes::Unknown { reason } = source.changed_since("gone").unwrap() else {
        panic!("nobody can know what changed since a snapshot that is gone");
    };
    assert!(reason.contains("gone"), "{reason}");
    // Asked all the same, rbd prints an empty list and fails.
    let image = scratch.image().at("new");
    let mut diff = image.diff(Some("gone"), &Settings::default()).unwrap();
    let error = diff.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SnapshotNotFound);
    assert!(diff.next().is_none());
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn changes_since_a_snapshot_that_goes_meanwhile_are_not_believed() {
    let scratch = Scratch::create("going", "16M");
    scratch.snapshot("old");
    scratch.fill(|sink| sink.write_at(0, &pattern(1, OBJECT)).unwrap());
    scratch.snapshot("new");
    let image = scratch.image().at("new");
    let mut diff = image.diff(Some("old"), &Settings::default()).unwrap();
    rbd(&["snap", "rm", &format!("{}@old", scratch.spec())]);
    let error = diff.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::SnapshotNotFound);
}

fn kind_of(image: RbdImage, settings: &Settings) -> ErrorKind {
    let error = RbdSource::open(image, settings).unwrap_err();
    eprintln!("{error}: {}", error.source().unwrap());
    error.kind()
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn what_is_missing_or_forbidden_is_told_apart() {
    let scratch = Scratch::create("errors", "16M");
    let settings = Settings::default();
    let image = scratch.image();
    assert!(!image.has_snapshot("nope", &settings).unwrap());
    assert_eq!(
        kind_of(image.clone().at("nope"), &settings),
        ErrorKind::SnapshotNotFound
    );
    let missing = RbdImage {
        image: "blocks-test-no-such".to_owned(),
        ..image.clone()
    };
    assert_eq!(kind_of(missing.clone(), &settings), ErrorKind::NotFound);
    assert_eq!(
        RbdTarget::open(missing, &settings).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let no_pool = RbdImage {
        pool: "no-such-pool".to_owned(),
        ..image.clone()
    };
    assert_eq!(kind_of(no_pool, &settings), ErrorKind::NotFound);
    let nobody = RbdImage {
        user: Some("nobody-at-all".to_owned()),
        ..image.clone()
    };
    assert_eq!(kind_of(nobody.clone(), &settings), ErrorKind::Denied);
    assert_eq!(
        RbdTarget::open(nobody, &settings).unwrap_err().kind(),
        ErrorKind::Denied
    );
    let other = RbdImage {
        user: Some("glance".to_owned()),
        ..image.clone()
    };
    assert_eq!(kind_of(other, &settings), ErrorKind::Denied);
    let no_conf = RbdImage {
        conf: Some("/nonexistent/ceph.conf".into()),
        ..image.clone()
    };
    assert_eq!(kind_of(no_conf, &settings), ErrorKind::Setup);
    let no_rbd = Settings {
        rbd: "/nonexistent/rbd".into(),
        ..settings
    };
    assert_eq!(kind_of(image, &no_rbd), ErrorKind::Setup);
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn monitors_can_be_named_and_silent_ones_time_out() {
    let scratch = Scratch::create("monitors", "16M");
    scratch.snapshot("new");
    let host = "127.0.0.1".to_owned();
    let mut image = scratch.image().at("new");
    image.monitors = vec![agent_blocks::MonitorHost {
        host: host.clone(),
        port: 6789,
    }];
    let source = RbdSource::open(image.clone(), &Settings::default()).unwrap();
    source.open_reader().unwrap();
    image.monitors = vec![agent_blocks::MonitorHost { host, port: 1 }];
    let limit = Duration::from_secs(2);
    let hurried = Settings {
        command_timeout: limit,
        start_timeout: limit,
        ..Settings::default()
    };
    assert_eq!(kind_of(image.clone(), &hurried), ErrorKind::Timeout);
    image.snapshot = None;
    assert_eq!(
        RbdTarget::open(image, &hurried).unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_filled_image_has_no_watcher_left() {
    let scratch = Scratch::create("watcher", "16M");
    scratch.fill(|sink| sink.write_at(0, &pattern(1, MIB)).unwrap());
    assert!(!rbd(&["status", "--format", "json", &scratch.spec()]).contains("address"));
    rbd(&["rm", &scratch.spec()]);
    rbd(&["create", "--size", "1M", &scratch.spec()]);
}
