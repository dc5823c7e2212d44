//! The disks of a point, to be read.

use agent_blocks::libvirt::{BackupDisk, Libvirt};
use agent_blocks::nbd::Endpoint;
use agent_blocks::qemu_nbd::{Access, FileFormat, Image, QemuNbd};
use agent_blocks::{
    BlocksError, DiskSource, ErrorKind, FileSource, RbdSource, Since, TrackedSource, Watched,
};
use agent_contract::PointId;

use super::Points;
use super::entry::{Entry, FilePart, JobPart, Phase};
use super::still::stamp;

impl Points {
    /// A disk of a point that stands. Where it fell, trying again with a new one may help.
    pub(crate) fn source(
        &self,
        id: PointId,
        device: &str,
    ) -> Result<Box<dyn DiskSource>, BlocksError> {
        let known = self.lock().get(&id).cloned();
        let Some(known) = known else {
            let doing = format!("open a disk of point {id}, which is not on this host");
            return Err(BlocksError::new(ErrorKind::NotFound, doing));
        };
        let entry = known.lock().clone();
        match &entry.phase {
            Phase::Taken { .. } => self.open(&entry, device),
            Phase::Ended { why, .. } => {
                let doing = format!("open a disk of point {id}, which has ended: {why}");
                Err(BlocksError::new(ErrorKind::Unavailable, doing))
            }
            _ => {
                let doing = format!("open a disk of point {id}, which does not stand");
                Err(BlocksError::new(ErrorKind::Unavailable, doing))
            }
        }
    }

    fn open(&self, entry: &Entry, device: &str) -> Result<Box<dyn DiskSource>, BlocksError> {
        let servers = &self.0.servers;
        let parts = &entry.parts;
        if let Some(part) = parts.snapshots.iter().find(|part| part.device == device) {
            let image = servers.rbd(&part.pool, &part.image);
            let snapshot = image.at(part.snapshot.as_str());
            return Ok(Box::new(RbdSource::open(snapshot, &servers.blocks)?));
        }
        if let Some(part) = parts.files.iter().find(|part| part.device == device) {
            return self.open_file(entry.guest(), part);
        }
        let of_job = parts.job.as_ref().and_then(|part| {
            let disk = part.job.disks.iter().find(|disk| disk.device == device)?;
            Some((part, disk))
        });
        let Some((part, disk)) = of_job else {
            let doing = format!("open disk {device}, which is not of point {}", entry.id);
            return Err(BlocksError::new(ErrorKind::NotFound, doing));
        };
        self.open_export(part, disk)
    }

    fn open_export(
        &self,
        part: &JobPart,
        disk: &BackupDisk,
    ) -> Result<Box<dyn DiskSource>, BlocksError> {
        let endpoint = Endpoint::at(&part.job.socket, &disk.device, &self.0.servers.blocks);
        let source = TrackedSource::open(endpoint, disk.changes()).map_err(|error| {
            // Its socket goes with the guest's process.
            let kind = match error.kind() {
                ErrorKind::NotFound => ErrorKind::Unavailable,
                kind => kind,
            };
            BlocksError::caused(kind, "read a running guest, which may have stopped", error)
        })?;
        Ok(Box::new(source))
    }

    fn open_file(
        &self,
        guest: String,
        part: &FilePart,
    ) -> Result<Box<dyn DiskSource>, BlocksError> {
        let libvirt = self.0.servers.libvirt.clone();
        let watched = part.clone();
        stands_still(&libvirt, &guest, &watched)?;
        let source = self.unwatched(part)?;
        let stands_still = move || stands_still(&libvirt, &guest, &watched);
        Ok(Box::new(Watched::new(source, stands_still)))
    }

    fn unwatched(&self, part: &FilePart) -> Result<Box<dyn DiskSource>, BlocksError> {
        let settings = &self.0.servers.blocks;
        if let [layer] = part.layers.as_slice()
            && layer.format == FileFormat::Raw
        {
            return Ok(Box::new(FileSource::open(&layer.path)?));
        }
        let image = Image::Layers(part.layers.clone());
        let bitmap = part.since.as_deref();
        let server = QemuNbd::start_with_bitmap(&image, Access::ReadOnly, bitmap, settings)?;
        let since = part.since.as_ref().map(|name| Since {
            point: name.clone(),
            context: format!("qemu:dirty-bitmap:{name}"),
        });
        let endpoint = Endpoint::of_server(server, image.to_string(), settings);
        Ok(Box::new(TrackedSource::open(endpoint, since)?))
    }
}

/// Fails, in a way that trying again with a new point may help, once the guest may have written.
fn stands_still(libvirt: &Libvirt, guest: &str, part: &FilePart) -> Result<(), BlocksError> {
    let changed = |what: &str| {
        let doing = format!("read disk {} of a stopped guest: {what}", part.device);
        Err(BlocksError::new(ErrorKind::Unavailable, doing))
    };
    match libvirt.domain(guest) {
        Ok(domain) if domain.is_running => return changed("it was started meanwhile"),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return changed("it was deleted meanwhile");
        }
        Err(error) => return Err(error),
    }
    let Some(top) = part.layers.first() else {
        return changed("it has no file");
    };
    match stamp(&top.path) {
        Ok(now) if now == part.stamp => Ok(()),
        Ok(_) => changed("its file was written to meanwhile"),
        Err(error) if error.kind() == ErrorKind::NotFound => changed("its file is gone"),
        Err(error) => Err(error),
    }
}
