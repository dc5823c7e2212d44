//! A server with data on its second disk, and a workload of it.

use agent_contract::TransferStatus;
use agent_format::Digest;
use services_db::{Restore, Snapshot};
use services_types::{
    FlowId, RestoreId, RestoreStatus, ServerId, SnapshotId, SnapshotStatus, VolumeId, WorkloadId,
};
use tests_flows::processes::{Deployment, DeploymentOptions};
use tests_flows::{ServerSpec, digest, wait_until, write_clusters, write_pattern};
use tests_s3_server::Server;

use crate::images::assert_same;

pub(crate) const MIB: u64 = 1 << 20;
/// On the data disk: six seconds' work.
pub(crate) const DATA: u64 = 48 * MIB;
pub(crate) const RATE: u64 = 8 * MIB;
/// What may be read again after a crash: a second between checkpoints, and what was in flight.
pub(crate) const READ_AGAIN: u64 = RATE + 4 * MIB;

/// A deployment that moves disks slowly enough to be caught in the middle.
pub(crate) const SLOWLY: DeploymentOptions = DeploymentOptions {
    rate_limit_bytes_per_second: Some(RATE),
    database: tests_flows::processes::DatabaseKind::Sqlite,
    has_own_broker: false,
    has_bucket: false,
    transfer_silence: None,
};

pub(crate) struct Protected {
    pub(crate) site: Deployment,
    pub(crate) server: ServerId,
    /// Boot disk first.
    pub(crate) volumes: Vec<VolumeId>,
    pub(crate) workload: WorkloadId,
}

impl Protected {
    /// With [`DATA`] on the data disk.
    pub(crate) async fn start(options: DeploymentOptions) -> Self {
        let protected = Self::with_little_data(options).await;
        protected.write_data(1);
        protected
    }

    pub(crate) async fn with_little_data(options: DeploymentOptions) -> Self {
        let site = Deployment::start(options).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let volumes = site.tenant.volumes(&server).await;
        write_pattern(&site.cloud.volume_path(&volumes[0]), 0, 200_000, 1);
        write_pattern(&site.cloud.volume_path(&volumes[1]), 0, 300_000, 2);
        let workload = site.workload(std::slice::from_ref(&server)).await;
        Self {
            site,
            server,
            volumes,
            workload,
        }
    }

    /// [`DATA`] that only `seed` could have made, onto the data disk.
    pub(crate) fn write_data(&self, seed: u8) {
        let disk = self.site.cloud.volume_path(&self.volumes[1]);
        write_clusters(&disk, 100 * MIB, DATA >> 16, seed);
    }

    /// Asks for a snapshot and waits until so much of the data disk has been moved.
    pub(crate) async fn mid_upload(&self, bytes: u64) -> (SnapshotId, FlowId, TransferStatus) {
        let id = self.site.request_snapshot(self.workload, false).await;
        let flow = self.site.db.flow_of_snapshot(id).await.unwrap().id;
        let status = self.moved(flow, "backup", bytes).await;
        (id, flow, status)
    }

    /// Asks for a restore and waits until so much of the data disk has been moved.
    pub(crate) async fn mid_fill(
        &self,
        snapshot: &Snapshot,
        bytes: u64,
    ) -> (RestoreId, FlowId, TransferStatus) {
        let id = self.site.request_restore(snapshot).await;
        let flow = self.site.db.flow_of_restore(id).await.unwrap().id;
        let status = self.moved(flow, "restore", bytes).await;
        (id, flow, status)
    }

    async fn moved(&self, flow: FlowId, verb: &str, bytes: u64) -> TransferStatus {
        let look = || self.site.transfer(flow, verb, &self.volumes[1]);
        wait_until("the data disk to be moved", || async {
            let status = look().await;
            status.is_some_and(|status| status.progress.done_bytes >= bytes)
        })
        .await;
        look().await.unwrap()
    }

    /// How the move of the data disk ended.
    pub(crate) async fn ended(&self, flow: FlowId, verb: &str) -> TransferStatus {
        let status = self.site.transfer(flow, verb, &self.volumes[1]).await;
        status.unwrap()
    }

    /// Waits for the snapshot, which must be complete and right, and the only thing left in the cloud.
    pub(crate) async fn complete(&self, id: SnapshotId) -> Snapshot {
        let snapshot = self.site.settled_snapshot(id).await;
        assert_eq!(
            (snapshot.status, snapshot.error_msg.as_deref()),
            (SnapshotStatus::Available, None)
        );
        assert_eq!(self.volume_snapshots(), 2);
        assert_eq!(self.unfinished_uploads(), 0);
        self.compare(id).await;
        snapshot
    }

    /// In the bucket, if the target is one.
    fn unfinished_uploads(&self) -> usize {
        self.site.bucket.as_ref().map_or(0, Server::uploads)
    }

    /// Cinder snapshots in the project.
    pub(crate) fn volume_snapshots(&self) -> usize {
        let left = self.site.cloud.leftovers("demo");
        left.iter()
            .filter(|line| line.starts_with("volume snapshot"))
            .count()
    }

    /// Each image of the newest snapshot against the Cinder snapshot that it was made from.
    async fn compare(&self, id: SnapshotId) {
        let anchors = self.site.db.volume_anchors_fetch(self.workload).await;
        let anchors = anchors.unwrap();
        assert_eq!(anchors.len(), self.volumes.len());
        for anchor in anchors {
            assert_eq!(anchor.snapshot_id, id);
            let volume = anchor.volume_id.to_string();
            let of_disk = |name: &&String| {
                name.contains(&id.to_string())
                    && name.contains(&volume)
                    && !name.ends_with(".index")
            };
            let images = self.site.objects();
            let images: Vec<_> = images.iter().filter(of_disk).collect();
            assert_eq!(images.len(), 1, "{images:?}");
            let source = self
                .site
                .cloud
                .snapshot_path(&anchor.volume_id, &anchor.volume_snapshot_id);
            assert_same(images[0].as_ref(), &source);
        }
    }

    /// Nothing of this snapshot is on the target, or in the cloud but for what an earlier one kept.
    pub(crate) fn assert_nothing_left(&self, id: SnapshotId, kept: usize) {
        let objects = self.site.objects();
        let of_snapshot = |name: &&String| name.contains(&id.to_string());
        let left: Vec<_> = objects.iter().filter(of_snapshot).collect();
        assert_eq!(left, Vec::<&String>::new());
        assert_eq!(self.unfinished_uploads(), 0);
        assert_eq!(self.volume_snapshots(), kept);
    }

    /// What the disks hold now.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        digests(&self.site, &self.volumes)
    }

    /// Deletes the server with all its disks.
    pub(crate) async fn lose(&self) {
        self.site.tenant.lose(&self.site.cloud, &self.server).await;
    }

    /// Waits for the restore, which must have made one server with these disks and nothing else.
    pub(crate) async fn restored(&self, id: RestoreId, expected: &[Digest]) -> Restore {
        let restore = self.site.settled_restore(id).await;
        assert_eq!(
            (restore.status, restore.error_msg.as_deref()),
            (RestoreStatus::Available, None)
        );
        let made = self.site.db.restored_servers(id).await.unwrap();
        assert_eq!(made.len(), 1);
        let volumes = self.site.tenant.volumes(&made[0].server_id).await;
        assert_eq!(digests(&self.site, &volumes), expected);
        let left = self.site.cloud.leftovers("demo");
        let count = |kind: &str| left.iter().filter(|line| line.starts_with(kind)).count();
        assert_eq!(
            (count("server"), count("volume "), count("port")),
            (1, 2, 1),
            "{left:?}"
        );
        restore
    }
}

fn digests(site: &Deployment, volumes: &[VolumeId]) -> Vec<Digest> {
    volumes
        .iter()
        .map(|id| digest(&site.cloud.volume_path(id)))
        .collect()
}
