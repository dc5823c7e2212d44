use agent_blocks::libvirt::{Domain, DomainDisk, DomainStorage};
use agent_contract::{PointDisk, PointStatus, Refusal, RefusalKind, TakenDisk};
use services_foundation::error_chain::ErrorChain;

use super::entry::{End, Entry, Mark, Parts, Phase, SnapshotPart};
use super::{PREFIX, Points};
use crate::refused::{by_storage, invalid};
use crate::server_disks::volume_id;

impl Points {
    /// Plans the parts, writes them down, makes them. On failure none is left, or the entry says so.
    pub(super) fn take_anew(&self, entry: &mut Entry) -> Result<PointStatus, Refusal> {
        let (domain, mut disks) = self.plan(entry)?;
        entry.phase = Phase::Taking;
        self.save(entry)
            .and_then(|()| self.make(entry, &domain, &mut disks))
            .inspect_err(|refusal| {
                tracing::warn!(point = %entry.id, "cannot be taken: {refusal}");
                self.undo(entry);
            })?;
        tracing::info!(point = %entry.id, server = %entry.request.server_id, "is taken");
        Ok(entry.status(&disks))
    }

    fn undo(&self, entry: &mut Entry) {
        let end = End {
            kept: None,
            why: "it could not be taken".to_owned(),
            is_forgotten: true,
        };
        entry.phase = Phase::Ending { end: end.clone() };
        // The journal says that it is being taken, which leads to the same.
        if let Err(refusal) = self.finish(entry, &end) {
            tracing::error!(point = %entry.id, "its parts are left for later: {refusal}");
        }
    }

    fn plan(&self, entry: &mut Entry) -> Result<(Domain, Vec<TakenDisk>), Refusal> {
        let guest = entry.guest();
        let servers = &self.0.servers;
        let domain = servers.libvirt.domain(&guest);
        let domain = domain.map_err(|error| by_storage(&error))?;
        let mut parts = Parts::default();
        let mut in_job = Vec::new();
        let mut disks = Vec::new();
        for asked in &entry.request.disks {
            let disk = find(&domain, asked)?;
            let mut taken = TakenDisk {
                device: asked.device.clone(),
                size_bytes: 0,
                mark: None,
                changes_unknown: None,
            };
            match &disk.storage {
                DomainStorage::Rbd { pool, image } => {
                    self.check_pool(pool)?;
                    parts.snapshots.push(SnapshotPart {
                        device: asked.device.clone(),
                        pool: pool.clone(),
                        image: image.clone(),
                        snapshot: format!("{PREFIX}{}", entry.id),
                    });
                    taken.changes_unknown = asked.since.as_ref().map(|_| {
                        "changes of the server's own disks in Ceph are found by comparing"
                            .to_owned()
                    });
                }
                DomainStorage::Other => {
                    let device = &asked.device;
                    return Err(invalid(format!("disk {device} is of an unknown kind")));
                }
                _ if domain.is_running => in_job.push((asked, disk)),
                DomainStorage::File { path, format } => {
                    let part = self.still_part(asked, path, *format, &mut taken)?;
                    parts.files.push(part);
                }
                DomainStorage::BlockDevice { .. } => {
                    let device = &asked.device;
                    let why = format!("disk {device} is a block device, and its guest is stopped");
                    return Err(invalid(why));
                }
            }
            disks.push(taken);
        }
        if !in_job.is_empty() {
            parts.job = Some(self.plan_job(entry.id, &guest, &in_job, &mut disks)?);
        }
        entry.parts = parts;
        Ok((domain, disks))
    }

    fn make(
        &self,
        entry: &mut Entry,
        domain: &Domain,
        disks: &mut [TakenDisk],
    ) -> Result<(), Refusal> {
        let servers = &self.0.servers;
        for part in &entry.parts.snapshots {
            let snapshot = servers
                .rbd(&part.pool, &part.image)
                .at(part.snapshot.as_str());
            let created = snapshot.create_snapshot(&servers.blocks);
            let size = created.and_then(|()| snapshot.size_bytes(&servers.blocks));
            let size = size.map_err(|error| by_storage(&error))?;
            if let Some(disk) = disks.iter_mut().find(|disk| disk.device == part.device) {
                disk.size_bytes = size;
            }
        }
        if entry.parts.job.is_some() {
            self.make_job(entry, domain, disks)?;
        }
        entry.phase = Phase::Taken {
            disks: disks.to_vec(),
        };
        self.save(entry)
    }

    fn check_pool(&self, pool: &str) -> Result<(), Refusal> {
        let pools = &self.0.servers.ceph.pools;
        if pools.is_empty() || pools.iter().any(|known| known == pool) {
            return Ok(());
        }
        Err(invalid(format!("pool {pool} is not in [ceph] pools")))
    }
}

fn find<'a>(domain: &'a Domain, asked: &PointDisk) -> Result<&'a DomainDisk, Refusal> {
    let device = &asked.device;
    let disk = domain.disk(device).ok_or_else(|| {
        let message = format!("the server has no disk {device}");
        Refusal::new(RefusalKind::NotFound, message)
    })?;
    if volume_id(disk).is_some() {
        return Err(invalid(format!(
            "disk {device} is a volume: Cinder takes snapshots of it"
        )));
    }
    Ok(disk)
}

/// Whether an earlier point can have given this mark.
pub(super) fn is_mark(name: &str) -> bool {
    let id = name.strip_prefix(PREFIX);
    id.is_some_and(|id| id.parse::<uuid::Uuid>().is_ok())
}

/// The marks that a point's disks begin.
pub(super) fn marks(disks: &[TakenDisk]) -> Vec<Mark> {
    let mark = |disk: &TakenDisk| {
        Some(Mark {
            device: disk.device.clone(),
            name: disk.mark.clone()?,
        })
    };
    disks.iter().filter_map(mark).collect()
}

/// For the log, where a fallback was taken.
pub(super) fn warn(entry: &Entry, what: &str, error: &agent_blocks::BlocksError) {
    tracing::warn!(point = %entry.id, "{what}: {}", ErrorChain(error));
}
