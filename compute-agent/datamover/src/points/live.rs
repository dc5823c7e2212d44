//! A backup job of a running guest: all its disks at one moment, and bitmaps that record what changes
//! from then on.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use agent_blocks::libvirt::{BackupDisk, BackupJob, Domain, DomainDisk, DomainStorage};
use agent_blocks::qemu_nbd::FileFormat;
use agent_blocks::{BlocksError, ErrorKind};
use agent_contract::{PointDisk, PointId, Refusal, RefusalKind, TakenDisk};
use nix::sys::statvfs::statvfs;
use uuid::Uuid;

use super::entry::{Entry, JobPart, Mark};
use super::take::{is_mark, warn};
use super::{PREFIX, Points, lost};
use crate::refused::{by_storage, conflict};

/// The group is inherited, ours: what QEMU makes there as a user of its own we can connect to and
/// remove. That QEMU's user may write there is all that the last digit is for; nobody else knows the
/// name, as the folder above cannot be listed.
const FOLDER_MODE: u32 = 0o2777;
const PARENT_MODE: u32 = 0o711;

impl Points {
    pub(super) fn plan_job(
        &self,
        id: PointId,
        guest: &str,
        in_job: &[(&PointDisk, &DomainDisk)],
        taken: &mut [TakenDisk],
    ) -> Result<JobPart, Refusal> {
        let storage = |error| by_storage(&error);
        self.clear_leftovers(guest)?;
        self.check_room()?;
        let folder = self.0.settings.path.join(Uuid::new_v4().to_string());
        let mark = format!("{PREFIX}{id}");
        let mut disks = Vec::new();
        for (asked, disk) in in_job {
            let is_marked = is_qcow2(disk);
            let unknown = match &asked.since {
                None => None,
                Some(_) if !is_marked => Some("changes of a raw disk are not recorded".to_owned()),
                Some(since) if !is_mark(since) => Some("no such record of changes".to_owned()),
                Some(since) => {
                    let libvirt = &self.0.servers.libvirt;
                    let lost = libvirt.is_bitmap_lost(guest, &asked.device, since);
                    lost.map_err(storage)?
                }
            };
            let since = asked.since.clone().filter(|_| unknown.is_none());
            disks.push(BackupDisk {
                device: asked.device.clone(),
                is_marked,
                since,
            });
            if let Some(taken) = taken.iter_mut().find(|taken| taken.device == asked.device) {
                taken.mark = is_marked.then(|| mark.clone());
                taken.changes_unknown = unknown;
            }
        }
        let job = BackupJob {
            socket: folder.join("s"),
            scratch_folder: folder.clone(),
            mark,
            disks,
        };
        Ok(JobPart { folder, job })
    }

    pub(super) fn make_job(
        &self,
        entry: &mut Entry,
        domain: &Domain,
        taken: &mut [TakenDisk],
    ) -> Result<(), Refusal> {
        let guest = entry.guest();
        let Some(part) = entry.parts.job.clone() else {
            return Ok(());
        };
        let marks = part.job.disks.iter().filter(|disk| disk.is_marked);
        let marks = marks.map(|disk| Mark {
            device: disk.device.clone(),
            name: part.job.mark.clone(),
        });
        let since = part.job.disks.iter().filter_map(|disk| {
            Some(Mark {
                device: disk.device.clone(),
                name: disk.since.clone()?,
            })
        });
        self.ledger_change(&guest, |ledger| {
            ledger.adopt(since);
            ledger.begin(marks);
        })?;
        make_folder(&part.folder).map_err(|error| {
            let folder = part.folder.display();
            Refusal::new(
                RefusalKind::Internal,
                format!("cannot make {folder}: {error}"),
            )
        })?;
        let in_job = |device: &str| part.job.disks.iter().any(|disk| disk.device == device);
        let others = domain.disks.iter().map(|disk| disk.device.as_str());
        let others: Vec<_> = others.filter(|device| !in_job(device)).collect();
        let libvirt = &self.0.servers.libvirt;
        match libvirt.begin_backup(&guest, &part.job, &others) {
            Ok(()) => {}
            Err(error) if can_do_without_marks(&error, &part.job) => {
                warn(entry, "the guest's changes cannot be recorded", &error);
                self.begin_without_marks(entry, &part, &others, taken)?;
            }
            Err(error) => return Err(by_storage(&error)),
        }
        let sizes = libvirt.sizes_of_running(&guest);
        let sizes = sizes.map_err(|error| by_storage(&error))?;
        for disk in taken.iter_mut().filter(|disk| in_job(&disk.device)) {
            disk.size_bytes = *sizes
                .get(&disk.device)
                .ok_or_else(|| lost("the guest has stopped"))?;
        }
        Ok(())
    }

    /// Old qcow2 files cannot hold bitmaps, and not every QEMU can make them: then the disks are read
    /// nevertheless, and compared.
    fn begin_without_marks(
        &self,
        entry: &mut Entry,
        part: &JobPart,
        others: &[&str],
        taken: &mut [TakenDisk],
    ) -> Result<(), Refusal> {
        let guest = entry.guest();
        let libvirt = &self.0.servers.libvirt;
        let mut part = part.clone();
        for disk in &mut part.job.disks {
            if let Some(taken) = taken.iter_mut().find(|taken| taken.device == disk.device) {
                taken.mark = None;
                let was_asked = disk.since.is_some();
                let why = "changes of this disk cannot be recorded".to_owned();
                taken.changes_unknown = taken.changes_unknown.take().or(was_asked.then_some(why));
            }
            (disk.is_marked, disk.since) = (false, None);
        }
        let begun = libvirt
            .end_backup(&guest, &part.job.socket)
            .and_then(|()| libvirt.begin_backup(&guest, &part.job, others));
        begun.map_err(|error| by_storage(&error))?;
        entry.parts.job = Some(part);
        Ok(())
    }

    /// A job whose end a crash has swallowed, and checkpoints that keep Nova from deleting the guest.
    fn clear_leftovers(&self, guest: &str) -> Result<(), Refusal> {
        let storage = |error| by_storage(&error);
        let libvirt = &self.0.servers.libvirt;
        match libvirt.backup_socket(guest).map_err(storage)? {
            Some(socket) if socket.starts_with(&self.0.settings.path) => {
                tracing::warn!(server = guest, "a backup job of ours was left behind");
                libvirt.end_backup(guest, &socket).map_err(storage)?;
            }
            Some(_) => return Err(conflict("somebody else backs the server up")),
            None => {}
        }
        let left = libvirt.checkpoints(guest).map_err(storage)?;
        for name in left.iter().filter(|name| is_mark(name)) {
            libvirt.forget_checkpoint(guest, name).map_err(storage)?;
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), Refusal> {
        let (path, least) = (
            &self.0.settings.path,
            self.0.settings.scratch_min_free_bytes,
        );
        let free = make_parent(path).and_then(|()| free_bytes(path));
        let message = match free {
            Ok(free) if free >= least => return Ok(()),
            Ok(free) => format!(
                "{} has {free} bytes free for what guests overwrite, not {least}",
                path.display()
            ),
            Err(error) => format!("cannot use {}: {error}", path.display()),
        };
        Err(Refusal::new(RefusalKind::Unreachable, message))
    }

    /// Whether the job that the point consists of is still there.
    pub(super) fn check_job(&self, entry: &Entry) -> Result<(), Refusal> {
        let Some(part) = &entry.parts.job else {
            return Ok(());
        };
        let socket = self.0.servers.libvirt.backup_socket(&entry.guest());
        match socket.map_err(|error| by_storage(&error))? {
            Some(socket) if socket == part.job.socket => Ok(()),
            _ => Err(lost("the guest has stopped, or its backup job was ended")),
        }
    }
}

fn is_qcow2(disk: &DomainDisk) -> bool {
    matches!(
        disk.storage,
        DomainStorage::File {
            format: FileFormat::Qcow2,
            ..
        }
    )
}

fn can_do_without_marks(error: &BlocksError, job: &BackupJob) -> bool {
    let is_asked = job.disks.iter().any(|disk| disk.is_marked);
    is_asked && matches!(error.kind(), ErrorKind::Io | ErrorKind::SnapshotNotFound)
}

pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

fn make_parent(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(PARENT_MODE)
        .create(path)?;
    // Less the creation mask.
    std::fs::set_permissions(path, Permissions::from_mode(PARENT_MODE))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}
