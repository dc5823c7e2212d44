//! What a snapshot must show for as long as it exists: a copy of each disk, to be compared by `qemu-img`.

use std::path::{Path, PathBuf};
use std::process::Command;

use agent_format::manifest::Manifest;
use services_db::Snapshot;
use services_types::{ServerId, SnapshotType, WorkloadId};
use tempfile::TempDir;

use crate::Site;

/// One snapshot and what its disks held when it was taken.
pub struct Taken {
    /// Its row as it was then.
    pub snapshot: Snapshot,
    disks: Vec<(String, PathBuf)>,
    _folder: TempDir,
}

impl Taken {
    /// Takes a snapshot of the workload of this server, which must succeed.
    pub async fn take(site: &Site, workload: WorkloadId, server: &ServerId, is_full: bool) -> Self {
        Self::take_of(site, workload, &[server], is_full).await
    }

    /// Takes a snapshot of the workload of these servers, which must succeed.
    pub async fn take_of(
        site: &Site,
        workload: WorkloadId,
        servers: &[&ServerId],
        is_full: bool,
    ) -> Self {
        let folder = TempDir::with_prefix("backstay-model-").unwrap();
        let mut disks = Vec::new();
        for server in servers {
            for volume in site.tenant.volumes(server).await {
                let copy = folder.path().join(volume.as_str());
                let path = site.cloud.volume_path(&volume);
                let copied = Command::new("cp")
                    .args(["--sparse=always", "--reflink=auto"])
                    .arg(path)
                    .arg(&copy)
                    .status();
                assert!(copied.unwrap().success());
                disks.push((volume.to_string(), copy));
            }
        }
        let snapshot = site.snapshot(workload, is_full).await;
        assert_eq!(
            (snapshot.status, &snapshot.error_msg),
            (services_types::SnapshotStatus::Available, &None)
        );
        Self {
            snapshot,
            disks,
            _folder: folder,
        }
    }

    /// The snapshot's images on the target, read by QEMU alone, show what the disks held.
    pub fn expect_content(&self, site: &Site) {
        let manifest = self.manifest(site);
        assert_eq!(manifest.disks.len(), self.disks.len());
        for disk in &manifest.disks {
            let image = site.target.join(disk.image.name.as_str());
            let volume = disk.resource_id.to_string();
            let (_, copy) = self.disks.iter().find(|(id, _)| *id == volume).unwrap();
            qemu_img(&["check", "-q", "-f", "qcow2"], &[&image]);
            qemu_img(
                &["compare", "-q", "-f", "qcow2", "-F", "raw"],
                &[&image, copy],
            );
        }
    }

    /// As [`Taken::expect_content`]; and manifest, row and images agree on what builds on what.
    pub async fn expect_whole(&self, site: &Site) {
        self.expect_content(site);
        let row = site.db.snapshot_fetch(self.snapshot.id).await.unwrap();
        let manifest = self.manifest(site);
        let previous = manifest.previous_snapshot_id.map(|id| id.0);
        assert_eq!(previous, row.backing_snapshot_id.map(|id| *id.as_uuid()));
        assert_eq!(
            previous.is_none(),
            row.snapshot_type == SnapshotType::Full,
            "{row:?}"
        );
        let mut size_bytes = 0;
        for disk in &manifest.disks {
            let image = site.target.join(disk.image.name.as_str());
            let length = std::fs::metadata(&image).unwrap().len();
            assert_eq!(length, disk.image.size_bytes, "{}", disk.image.name);
            let index = site.target.join(disk.index.name.as_str());
            let length = std::fs::metadata(&index).unwrap().len();
            assert_eq!(length, disk.index.size_bytes, "{}", disk.index.name);
            size_bytes += disk.image.size_bytes;
            expect_backing(&image, disk.backing.is_some());
        }
        assert_eq!(size_bytes, row.size_bytes);
    }

    /// Of what the disks held, boot disk first.
    pub fn digests(&self) -> Vec<agent_format::Digest> {
        let disks = self.disks.iter();
        disks.map(|(_, copy)| crate::digest(copy)).collect()
    }

    fn manifest(&self, site: &Site) -> Manifest {
        let (workload, id) = (self.snapshot.workload_id, self.snapshot.id);
        let name = format!("workload_{workload}/snapshot_{id}/manifest.json");
        Manifest::from_slice(&std::fs::read(site.target.join(name)).unwrap()).unwrap()
    }
}

fn expect_backing(image: &Path, has_one: bool) {
    let info = qemu_img(&["info", "--output=json", "-f", "qcow2"], &[image]);
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info.get("backing-filename").is_some(), has_one, "{info:#}");
}

fn qemu_img(arguments: &[&str], files: &[&Path]) -> Vec<u8> {
    let output = Command::new("qemu-img")
        .args(arguments)
        .args(files)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "qemu-img {arguments:?} {files:?}: {said}{told}"
    );
    output.stdout
}
