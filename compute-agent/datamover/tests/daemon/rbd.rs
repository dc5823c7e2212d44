//! Against the lab's Ceph: RBD snapshots in, RBD images out.

use std::process::Command;

use agent_contract::{
    BackupJob, DiskLocation, ImageCompression, ImageFacts, RestoreJob, TransferJob,
    TransferOutcome, TransferState, TransferStatus,
};
use uuid::Uuid;

use crate::datamover::{Datamover, image, new_id};

const MIB: u64 = 1 << 20;
const POOL: &str = "volumes";

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An image of the test's own, gone with this value.
struct Volume(String);

impl Volume {
    fn create(mib: u64) -> Self {
        let name = format!("test-{}", Uuid::new_v4());
        run(
            "rbd",
            &[
                "create",
                "--size",
                &format!("{mib}M"),
                &format!("{POOL}/{name}"),
            ],
        );
        Self(name)
    }

    fn qemu(&self, snapshot: Option<&str>) -> String {
        let snapshot = snapshot
            .map(|name| format!(",file.snapshot={name}"))
            .unwrap_or_default();
        let conf = "conf=/etc/ceph/ceph.conf,user=admin";
        format!(
            "driver=raw,file.driver=rbd,file.pool={POOL},file.image={}{snapshot},{}",
            self.0,
            conf.split(',')
                .map(|part| format!("file.{part}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    }

    fn write(&self, pattern: u8, offset: u64, length: u64) {
        let command = format!("write -P {pattern} {offset} {length}");
        run(
            "qemu-io",
            &["--image-opts", "-c", &command, &self.qemu(None)],
        );
    }

    fn discard(&self, offset: u64, length: u64) {
        let command = format!("discard {offset} {length}");
        run(
            "qemu-io",
            &[
                "-d",
                "unmap",
                "--image-opts",
                "-c",
                &command,
                &self.qemu(None),
            ],
        );
    }

    fn snapshot(&self, name: &str) {
        run(
            "rbd",
            &[
                "snap",
                "create",
                "--no-progress",
                &format!("{POOL}/{}@{name}", self.0),
            ],
        );
    }

    fn drop_snapshot(&self, name: &str) {
        run(
            "rbd",
            &[
                "snap",
                "rm",
                "--no-progress",
                &format!("{POOL}/{}@{name}", self.0),
            ],
        );
    }

    fn location(&self, snapshot: Option<&str>) -> DiskLocation {
        DiskLocation::Rbd {
            pool: POOL.into(),
            image: self.0.clone(),
            snapshot: snapshot.map(str::to_owned),
        }
    }

    fn backup(&self, mib: u64, snapshot: &str, since: Option<(&str, &str)>) -> TransferJob {
        TransferJob::Backup(BackupJob {
            source: self.location(Some(snapshot)),
            size_bytes: mib * MIB,
            since: since.map(|(snapshot, _)| snapshot.to_owned()),
            image: image(&format!("w/{snapshot}")),
            backing: since.map(|(_, parent)| image(parent)),
            compression: ImageCompression::None,
        })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        for arguments in [
            ["snap", "purge", "--no-progress"],
            ["rm", "--no-progress", "--"],
        ] {
            let name = format!("{POOL}/{}", self.0);
            let arguments = arguments.into_iter().filter(|a| *a != "--");
            let _gone = Command::new("rbd").args(arguments).arg(name).output();
        }
    }
}

fn facts(status: &TransferStatus) -> &ImageFacts {
    match &status.state {
        TransferState::Done(TransferOutcome::Image(facts)) => facts,
        other => panic!("{other:?}"),
    }
}

async fn carry_out(datamover: &Datamover, job: TransferJob) -> TransferStatus {
    let id = new_id();
    datamover.begin(id, 1, job).await.unwrap();
    datamover.until_ended(id).await
}

fn compare(datamover: &Datamover, name: &str, volume: &str) {
    let file = datamover.path("target").join(name);
    let image = format!(
        "driver=qcow2,file.driver=file,file.filename={}",
        file.display()
    );
    run("qemu-img", &["check", "-q", file.to_str().unwrap()]);
    run(
        "qemu-img",
        &["compare", "-q", "--image-opts", &image, volume],
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_volume_is_backed_up_fully_and_incrementally_and_comes_back() {
    let datamover = Datamover::start("[ceph]\nuser = backup\n").await;
    let volume = Volume::create(64);
    volume.write(1, 0, 10 * MIB);
    volume.write(2, 30 * MIB + 1000, 3 * MIB);
    volume.snapshot("one");
    let full = carry_out(&datamover, volume.backup(64, "one", None)).await;
    compare(&datamover, "w/one", &volume.qemu(Some("one")));
    assert!(facts(&full).data_bytes <= 14 * MIB, "{full:?}");

    volume.write(3, 5 * MIB + 17, 100);
    volume.discard(8 * MIB, MIB);
    volume.write(4, 50 * MIB, 70_000);
    volume.snapshot("two");
    let job = volume.backup(64, "two", Some(("one", "w/one")));
    let incremental = carry_out(&datamover, job).await;
    compare(&datamover, "w/two", &volume.qemu(Some("two")));
    let held = facts(&incremental);
    assert!(held.data_bytes <= 8 * 65536, "{held:?}");
    assert!(held.zero_bytes >= MIB, "{held:?}");

    let other = Volume::create(65);
    other.write(9, 0, 65 * MIB);
    let job = TransferJob::Restore(RestoreJob {
        chain: vec![image("w/two"), image("w/one")],
        size_bytes: 64 * MIB,
        destination: other.location(None),
        is_destination_zeroed: false,
        digests: Vec::new(),
    });
    let filled = carry_out(&datamover, job).await;
    let state = &filled.state;
    assert!(
        matches!(state, TransferState::Done(TransferOutcome::Filled { .. })),
        "{state:?}"
    );
    run(
        "rbd",
        &[
            "resize",
            "--no-progress",
            "--allow-shrink",
            "--size",
            "64M",
            &format!("{POOL}/{}", other.0),
        ],
    );
    run(
        "qemu-img",
        &[
            "compare",
            "-q",
            "--image-opts",
            &volume.qemu(Some("two")),
            &other.qemu(None),
        ],
    );
    // Nobody watches the restored image any more, so that it can be attached or removed.
    let watchers = run("rbd", &["status", &format!("{POOL}/{}", other.0)]);
    assert!(watchers.contains("none"), "{watchers}");

    // Without the earlier snapshot the changes are found by comparison, and this is said.
    volume.drop_snapshot("one");
    volume.write(5, 0, 100);
    volume.snapshot("three");
    let compared = carry_out(
        &datamover,
        volume.backup(64, "three", Some(("one", "w/one"))),
    )
    .await;
    compare(&datamover, "w/three", &volume.qemu(Some("three")));
    let held = facts(&compared);
    assert!(held.data_bytes <= 8 * 65536, "{held:?}");
    let [warning] = held.warnings.as_slice() else {
        panic!("{held:?}");
    };
    assert!(
        warning.contains("has no snapshot one any more"),
        "{warning}"
    );
    let missing = volume.backup(64, "four", None);
    let lost = carry_out(&datamover, missing).await;
    assert!(
        matches!(
            lost.state,
            TransferState::Failed {
                is_transient: false,
                ..
            }
        ),
        "{lost:?}"
    );
}
