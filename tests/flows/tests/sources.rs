//! Every kind of disk that a server can have: volumes that are reached in different ways, disks that Nova
//! itself keeps, disks that their owner leaves out, volumes of several servers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use std::path::PathBuf;

use services_openstack::fake::{Effect, Fault};
use services_types::{
    FlowKind, RestoreStatus, ServerId, SnapshotId, SnapshotStatus, SnapshotType, WorkloadId,
};
use tests_flows::{ServerSpec, Site, SiteOptions, digest, wait_until, write_pattern};

const MIB: u64 = 1 << 20;

/// In the guest's order: those that Nova keeps, then the volumes.
const OF_NOVA: [(&str, &str); 3] = [("vda", "root"), ("vdb", "ephemeral0"), ("vdc", "swap")];

/// A server with disks of all kinds, in a workload.
struct Protected {
    site: Site,
    server: ServerId,
    workload: WorkloadId,
}

impl Protected {
    async fn start(options: SiteOptions) -> Self {
        let site = Site::start(options).await;
        Self::on(site).await
    }

    async fn on(site: Site) -> Self {
        let spec = ServerSpec::with_disks_of_all_kinds("db1");
        let server = site.tenant.server(&spec).await;
        let workload = site.workload(std::slice::from_ref(&server)).await;
        let it = Self {
            site,
            server,
            workload,
        };
        it.write(2, 300_000, 0).await;
        it
    }

    async fn disks(&self) -> Vec<PathBuf> {
        let cloud = &self.site.cloud;
        let of_nova =
            OF_NOVA.map(|(device, role)| cloud.nova_disk_path(&self.server, device, role));
        let volumes = self.site.tenant.volumes(&self.server).await;
        let volumes = volumes.iter().map(|id| cloud.volume_path(id));
        of_nova.into_iter().chain(volumes).collect()
    }

    /// Other bytes onto each disk.
    async fn write(&self, at_mib: u64, length: usize, seed: u8) {
        for (number, path) in (1..).zip(self.disks().await) {
            write_pattern(&path, at_mib * MIB + 1000, length, seed + number);
        }
    }

    async fn digests(&self) -> Vec<agent_format::Digest> {
        self.disks().await.iter().map(digest).collect()
    }

    /// What was changed, and taken off again, in every snapshot.
    fn assert_nothing_held(&self, what: &str) {
        assert_eq!(self.site.datamover.held(), Vec::<String>::new(), "{what}");
        let left = self.site.cloud.leftovers("demo");
        let begins = |begin: &str| left.iter().filter(|line| line.starts_with(begin)).count();
        // Three volumes of the server's own; no copy of the one that is read from copies.
        assert_eq!(
            begins("volume ") - begins("volume snapshot"),
            3,
            "{what}: {left:?}"
        );
        assert_eq!(begins("attachment"), 3, "{what}: {left:?}");
    }

    /// A full and an incremental snapshot, then the server is lost; what its disks held.
    async fn lose(&self) -> (services_db::Snapshot, Vec<agent_format::Digest>) {
        let full = self.site.snapshot(self.workload, true).await;
        assert_available(&full);
        self.write(2, 70_000, 100).await;
        let snapshot = self.site.snapshot(self.workload, false).await;
        assert_available(&snapshot);
        let digests = self.digests().await;
        self.site.tenant.lose(&self.site.cloud, &self.server).await;
        (snapshot, digests)
    }

    async fn lose_after_a_full(&self) -> services_db::Snapshot {
        let snapshot = self.site.snapshot(self.workload, true).await;
        assert_available(&snapshot);
        self.site.tenant.lose(&self.site.cloud, &self.server).await;
        snapshot
    }
}

fn assert_available(snapshot: &services_db::Snapshot) {
    assert_eq!(
        (snapshot.status, &snapshot.error_msg),
        (SnapshotStatus::Available, &None)
    );
}

/// Of what each image holds itself, by device.
fn data_bytes(site: &Site, snapshot: SnapshotId) -> Vec<(String, u64)> {
    let manifest = format!("snapshot_{snapshot}/manifest.json");
    let objects = site.objects();
    let path = objects
        .iter()
        .find(|name| name.ends_with(&manifest))
        .unwrap();
    let text = std::fs::read(path).unwrap();
    let manifest = agent_format::manifest::Manifest::from_slice(&text).unwrap();
    let disk = |it: &agent_format::manifest::DiskEntry| (it.disk.to_string(), it.data_bytes);
    manifest.disks.iter().map(disk).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_all_kinds_are_protected_and_come_back() {
    let it = Protected::start(SiteOptions::default()).await;
    let full = it.site.snapshot(it.workload, true).await;
    assert_available(&full);
    it.assert_nothing_held("after the full");
    assert_eq!(data_bytes(&it.site, full.id).len(), 6);

    it.write(40, 65_536, 50).await;
    let incremental = it.site.snapshot(it.workload, false).await;
    assert_available(&incremental);
    assert_eq!(incremental.snapshot_type, SnapshotType::Incremental);
    it.assert_nothing_held("after the incremental");
    for (device, bytes) in data_bytes(&it.site, incremental.id) {
        // What is read whole is compared by the datamover's own tests.
        assert!(
            bytes <= 2 << 16 || device == "vdf",
            "{device} holds {bytes}"
        );
    }

    let (snapshot, digests) = it.lose().await;
    let restore = it.site.restore(&snapshot).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let warning = restore.warning_msg.unwrap();
    assert!(
        warning.contains("vda (root), vdb (ephemeral0), vdc (swap)"),
        "{warning}"
    );
    let made = it.site.db.restored_servers(restore.id).await.unwrap();
    let new = &made[0].server_id;
    let volumes = it.site.tenant.volumes(new).await;
    let restored: Vec<_> = volumes
        .iter()
        .map(|id| digest(&it.site.cloud.volume_path(id)))
        .collect();
    assert_eq!(restored, digests);
    assert_eq!(it.site.datamover.held(), Vec::<String>::new());

    let server = it.site.tenant.cloud.compute().server_fetch(new).await;
    let flavor = server.unwrap().flavor;
    assert_eq!((flavor.ephemeral_gib, flavor.swap_mib), (0, 0));
    let storage = it.site.tenant.cloud.block_storage();
    let root = storage.volume_fetch(&volumes[0]).await.unwrap();
    assert!(root.is_bootable);
    assert_eq!(root.image_metadata["hw_qemu_guest_agent"], "yes");
    assert_eq!(root.image_metadata["image_name"], "fake-image");
    let block = storage.volume_fetch(&volumes[5]).await.unwrap();
    assert_eq!(block.volume_type.as_deref(), Some("fake-block"));
}

/// Nova's disks and volumes that are connected have steps of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_at_any_step_holds_nothing() {
    for step in services_engine::step_names(FlowKind::SnapshotCreate) {
        let it = Protected::start(SiteOptions::failing(FlowKind::SnapshotCreate, step)).await;
        let before = it.site.cloud.leftovers("demo");
        let snapshot = it.site.snapshot(it.workload, true).await;
        assert_eq!(snapshot.status, SnapshotStatus::Error, "{step}");
        assert!(snapshot.error_msg.unwrap().contains(step), "{step}");
        assert_eq!(it.site.cloud.leftovers("demo"), before, "{step}");
        it.assert_nothing_held(step);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_snapshot_may_run_twice() {
    for step in services_engine::step_names(FlowKind::SnapshotCreate) {
        let it = Protected::start(SiteOptions::repeating(FlowKind::SnapshotCreate, step)).await;
        let snapshot = it.site.snapshot(it.workload, true).await;
        assert_eq!(
            (snapshot.status, snapshot.error_msg),
            (SnapshotStatus::Available, None),
            "{step}"
        );
        it.assert_nothing_held(step);
    }
}

/// The steps in which a disk's kind matters; the others fail in the tests of restores.
fn steps_with_volumes() -> impl Iterator<Item = &'static str> {
    let all = services_engine::step_names(FlowKind::RestoreCreate).into_iter();
    all.skip_while(|step| *step != "create_volumes")
        .take_while(|step| *step != "undo_ports")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_at_any_step_holds_nothing() {
    for step in steps_with_volumes() {
        let it = Protected::start(SiteOptions::failing(FlowKind::RestoreCreate, step)).await;
        let snapshot = it.lose_after_a_full().await;
        let before = it.site.cloud.leftovers("demo");
        let restore = it.site.restore(&snapshot).await;
        assert_eq!(restore.status, RestoreStatus::Error, "{step}");
        assert!(restore.error_msg.unwrap().contains(step), "{step}");
        assert_eq!(it.site.cloud.leftovers("demo"), before, "{step}");
        assert_eq!(it.site.datamover.held(), Vec::<String>::new(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_restore_may_run_twice() {
    for step in steps_with_volumes() {
        let it = Protected::start(SiteOptions::repeating(FlowKind::RestoreCreate, step)).await;
        let snapshot = it.lose_after_a_full().await;
        let restore = it.site.restore(&snapshot).await;
        assert_eq!(
            (restore.status, restore.error_msg),
            (RestoreStatus::Available, None),
            "{step}"
        );
        let left = it.site.cloud.leftovers("demo");
        let volumes = left.iter().filter(|line| line.starts_with("volume "));
        assert_eq!(volumes.count(), 6, "{step}: {left:?}");
        assert_eq!(it.site.datamover.held(), Vec::<String>::new(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_leaves_points_and_connections_to_the_next() {
    let slowly = SiteOptions {
        rate_limit_bytes_per_second: Some(MIB / 2),
        ..SiteOptions::default()
    };
    let mut it = Protected::start(slowly).await;
    let id = it.site.request_snapshot(it.workload, true).await;
    wait_until("the upload to be under way", || async {
        it.site.db.snapshot_fetch(id).await.unwrap().uploaded_bytes > 0
    })
    .await;
    it.site.stop_engines().await;
    // Three disks of a point, two volumes.
    assert_eq!(it.site.datamover.held().len(), 5);
    it.site.add_engine(SiteOptions::default());
    assert_available(&it.site.settled_snapshot(id).await);
    it.assert_nothing_held("after the second engine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_was_lost_is_a_warning_and_the_disk_is_compared() {
    let it = Protected::start(SiteOptions::default()).await;
    assert_available(&it.site.snapshot(it.workload, true).await);
    for entry in std::fs::read_dir(it.site.cloud.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("/mark-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let next = it.site.snapshot(it.workload, false).await;
    assert_available(&next);
    assert_eq!(next.snapshot_type, SnapshotType::Incremental);
    let warning = next.warning_msg.unwrap();
    let said =
        warning.matches("is not known, so it was read whole and compared: the mark was lost");
    assert_eq!(said.count(), 3, "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grew_stays_in_its_chain_and_one_that_shrank_begins_a_new_one() {
    let it = Protected::start(SiteOptions::default()).await;
    assert_available(&it.site.snapshot(it.workload, true).await);
    let disks = it.disks().await;
    let resize = |number: usize, bytes: u64| {
        let file = std::fs::File::options().write(true).open(&disks[number]);
        file.unwrap().set_len(bytes).unwrap();
    };
    // A root disk grows by resize; an ephemeral one may be another after it.
    resize(0, 1536 * MIB + 513);
    resize(1, 512 * MIB);
    let snapshot = it.site.snapshot(it.workload, false).await;
    assert_available(&snapshot);
    let objects = it.site.objects();
    let manifest = format!("snapshot_{}/manifest.json", snapshot.id);
    let path = objects.iter().find(|name| name.ends_with(&manifest));
    let text = std::fs::read(path.unwrap()).unwrap();
    let manifest = agent_format::manifest::Manifest::from_slice(&text).unwrap();
    let told: Vec<_> = manifest.disks[..2]
        .iter()
        .map(|disk| (disk.size_bytes, disk.backing.is_some()))
        .collect();
    assert_eq!(told, [(1536 * MIB + 513, true), (512 * MIB, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_that_are_left_out_come_back_empty_or_of_their_image() {
    let site = Site::start(SiteOptions::default()).await;
    let spec = ServerSpec {
        left_out: vec![1],
        ..ServerSpec::with_disks_of_all_kinds("db1")
    };
    let server = site.tenant.server(&spec).await;
    let words = [(
        "exclude_boot_disk_from_backup".to_owned(),
        "True".to_owned(),
    )];
    let compute = site.tenant.cloud.compute();
    compute
        .server_metadata_set(&server, &words.into())
        .await
        .unwrap();
    let root = site.cloud.nova_disk_path(&server, "vda", "root");
    let of_image = digest(&root);
    write_pattern(&root, 5 * MIB, 100_000, 1);
    let volumes = site.tenant.volumes(&server).await;
    let empty = digest(&site.cloud.volume_path(&volumes[1]));
    write_pattern(&site.cloud.volume_path(&volumes[1]), 5 * MIB, 100_000, 1);
    write_pattern(&site.cloud.volume_path(&volumes[2]), 5 * MIB, 100_000, 2);
    let kept = digest(&site.cloud.volume_path(&volumes[2]));

    let workload = site.workload(std::slice::from_ref(&server)).await;
    let snapshot = site.snapshot(workload, true).await;
    assert_available(&snapshot);
    let held: Vec<_> = data_bytes(&site, snapshot.id)
        .into_iter()
        .map(|(device, _)| device)
        .collect();
    assert_eq!(held, ["vdb", "vdc", "vdd", "vdf"]);
    let topology = site
        .db
        .snapshot_topology_fetch(snapshot.id)
        .await
        .unwrap()
        .unwrap();
    let left_out: Vec<_> = topology.servers[0]
        .disks
        .iter()
        .map(|disk| (disk.device.as_str(), disk.is_excluded))
        .collect();
    let (out, within) = (true, false);
    assert_eq!(
        left_out,
        [
            ("vda", out),
            ("vdb", within),
            ("vdc", within),
            ("vdd", within),
            ("vde", out),
            ("vdf", within)
        ]
    );

    site.tenant.lose(&site.cloud, &server).await;
    let restore = site.restore(&snapshot).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let made = site.db.restored_servers(restore.id).await.unwrap();
    let volumes = site.tenant.volumes(&made[0].server_id).await;
    assert_eq!(volumes.len(), 6);
    let restored = |number: usize| digest(&site.cloud.volume_path(&volumes[number]));
    assert_eq!(
        (restored(0), restored(4), restored(5)),
        (of_image, empty, kept)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_volume_is_refused_unless_it_is_left_out() {
    let site = Site::start(SiteOptions::default()).await;
    let encrypted = ServerSpec {
        volumes: vec![None, Some("fake-encrypted")],
        ..ServerSpec::with_two_disks("db1")
    };
    let server = site.tenant.server(&encrypted).await;
    let snapshot = site.snapshot(site.workload(&[server]).await, true).await;
    assert_eq!(snapshot.status, SnapshotStatus::Error);
    let message = snapshot.error_msg.unwrap();
    assert!(
        message.contains("Unencrypted workload cannot have instance with encrypted Volume"),
        "{message}"
    );
    let left_out = ServerSpec {
        left_out: vec![1],
        name: "db2".to_owned(),
        ..encrypted
    };
    let server = site.tenant.server(&left_out).await;
    assert_available(&site.snapshot(site.workload(&[server]).await, true).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_two_members_is_backed_up_once_and_attached_to_both_again() {
    let site = Site::start(SiteOptions::default()).await;
    let shared = site
        .tenant
        .volume_of_type("shared", Some("fake-multi"), false)
        .await;
    let mut servers = Vec::new();
    for name in ["db1", "db2"] {
        let spec = ServerSpec {
            attached: vec![shared.clone()],
            ..ServerSpec::with_two_disks(name)
        };
        servers.push(site.tenant.server(&spec).await);
    }
    write_pattern(&site.cloud.volume_path(&shared), 7 * MIB, 100_000, 9);
    let expected = digest(&site.cloud.volume_path(&shared));
    let workload = site.workload(&servers).await;
    let full = site.snapshot(workload, true).await;
    assert_available(&full);
    assert_eq!(data_bytes(&site, full.id).len(), 5);
    let next = site.snapshot(workload, false).await;
    assert_available(&next);
    assert_eq!(next.snapshot_type, SnapshotType::Incremental);

    for server in &servers {
        site.tenant.lose(&site.cloud, server).await;
    }
    let restore = site.restore(&next).await;
    assert_eq!(
        (restore.status, restore.error_msg),
        (RestoreStatus::Available, None)
    );
    let mut third = Vec::new();
    for made in site.db.restored_servers(restore.id).await.unwrap() {
        third.push(site.tenant.volumes(&made.server_id).await[2].clone());
    }
    assert_eq!(third.len(), 2);
    assert_eq!(third[0], third[1]);
    assert_eq!(digest(&site.cloud.volume_path(&third[0])), expected);
}

/// A complete backup is not thrown away for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_made_to_be_read_that_cinder_does_not_delete_is_named() {
    let it = Protected::start(SiteOptions::default()).await;
    let refused = Fault::on("DELETE", "/volumes/", Effect::Status(400));
    it.site.cloud.inject(refused.times(usize::MAX));
    let snapshot = it.site.snapshot(it.workload, true).await;
    assert_available(&snapshot);
    let warning = snapshot.warning_msg.unwrap();
    assert!(warning.contains("delete volume"), "{warning}");
    assert_eq!(it.site.datamover.held(), Vec::<String>::new());
}

/// Cinder would ask Nova, be refused, and give up on the snapshot for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_on_a_share_that_nova_would_not_remove_waits_for_its_server() {
    let it = Protected::start(SiteOptions::default()).await;
    let on_share = it.site.tenant.volumes(&it.server).await[1].clone();
    let snapshots = || {
        let left = it.site.cloud.leftovers("demo");
        let all = left
            .iter()
            .filter(|line| line.starts_with("volume snapshot"));
        all.count()
    };
    assert_available(&it.site.snapshot(it.workload, true).await);
    assert_eq!(snapshots(), 2);
    it.site.cloud.set_status(it.server.as_str(), "SHUTOFF");
    let stopped = it.site.snapshot(it.workload, false).await;
    assert_available(&stopped);
    let warning = stopped.warning_msg.unwrap();
    let stays = format!("of volume {on_share} stays: Nova removes it only while server db1");
    assert!(warning.contains(&stays), "{warning}");
    assert_eq!(snapshots(), 3);
    it.site.cloud.set_status(it.server.as_str(), "ACTIVE");
    assert_available(&it.site.snapshot(it.workload, false).await);
    assert_eq!(snapshots(), 2);
}
