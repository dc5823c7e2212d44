//! What disks a server has, by its libvirt domain and the names that Nova gives.

use std::collections::BTreeMap;
use std::path::Path;

use agent_blocks::libvirt::{Domain, DomainDisk, DomainStorage, Libvirt};
use agent_blocks::qemu_nbd::FileFormat;
use agent_blocks::{BlocksError, RbdImage};
use agent_contract::{DiskRole, DiskStorage, Refusal, RefusalKind, ServerDisk, ServerDisks};
use services_foundation::error_chain::ErrorChain;
use uuid::Uuid;

use crate::refused;
use crate::settings::CephSettings;

/// Looks servers up.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) libvirt: Libvirt,
    pub(crate) ceph: CephSettings,
    pub(crate) blocks: agent_blocks::Settings,
}

impl Servers {
    /// All disks of a server of this host.
    pub(crate) fn disks(&self, server_id: Uuid) -> Result<ServerDisks, Refusal> {
        let guest = server_id.to_string();
        let domain = self.libvirt.domain(&guest);
        let domain = domain.map_err(|error| refused::by_storage(&error))?;
        let sizes = self.sizes(&guest, &domain);
        let sizes = sizes.map_err(|error| refused::by_storage(&error))?;
        let disks = domain.disks.iter().map(|disk| {
            Ok(ServerDisk {
                device: disk.device.clone(),
                role: role(server_id, disk),
                storage: storage(&disk.storage),
                size_bytes: self.size(&guest, disk, &sizes)?,
            })
        });
        Ok(ServerDisks {
            is_running: domain.is_running,
            disks: disks.collect::<Result<_, _>>()?,
        })
    }

    /// What a running guest sees; a stopped one's disks are asked one by one.
    pub(crate) fn sizes(
        &self,
        guest: &str,
        domain: &Domain,
    ) -> Result<BTreeMap<String, u64>, BlocksError> {
        if domain.is_running {
            self.libvirt.sizes_of_running(guest)
        } else {
            Ok(BTreeMap::new())
        }
    }

    pub(crate) fn size(
        &self,
        guest: &str,
        disk: &DomainDisk,
        sizes: &BTreeMap<String, u64>,
    ) -> Result<u64, Refusal> {
        if let Some(size) = sizes.get(&disk.device) {
            return Ok(*size);
        }
        let size = match &disk.storage {
            DomainStorage::Rbd { pool, image } => self.rbd(pool, image).size_bytes(&self.blocks),
            _ => self.libvirt.size_of_stopped(guest, &disk.device),
        };
        size.map_err(|error| {
            let message = format!("disk {}: {}", disk.device, ErrorChain(&error));
            Refusal::new(RefusalKind::Internal, message)
        })
    }

    pub(crate) fn rbd(&self, pool: &str, image: &str) -> RbdImage {
        RbdImage {
            user: self.ceph.user.clone(),
            conf: self.ceph.conf.clone(),
            ..RbdImage::new(pool, image)
        }
    }
}

/// The volume's id, which Nova makes its serial number; its own disks have none.
pub(crate) fn volume_id(disk: &DomainDisk) -> Option<Uuid> {
    disk.serial.as_deref()?.parse().ok()
}

fn role(server_id: Uuid, disk: &DomainDisk) -> DiskRole {
    if let Some(volume_id) = volume_id(disk) {
        return DiskRole::Volume { volume_id };
    }
    // Where many servers share a pool or a volume group, their id comes first.
    let prefix = format!("{server_id}_");
    let name = match &disk.storage {
        DomainStorage::Rbd { image, .. } => image.strip_prefix(&prefix),
        DomainStorage::File { path, .. } => file_name(path),
        DomainStorage::BlockDevice { path } => {
            file_name(path).and_then(|name| name.strip_prefix(&prefix))
        }
        DomainStorage::Other => None,
    };
    name.map_or(DiskRole::Other, role_of_name)
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn role_of_name(name: &str) -> DiskRole {
    match name {
        "disk" => DiskRole::Root,
        "disk.swap" => DiskRole::Swap,
        "disk.config" => DiskRole::ConfigDrive,
        // The flavor's only one, when nothing else was asked for.
        "disk.local" => DiskRole::Ephemeral { number: 0 },
        _ => {
            let number = name.strip_prefix("disk.eph").and_then(|n| n.parse().ok());
            number.map_or(DiskRole::Other, |number| DiskRole::Ephemeral { number })
        }
    }
}

fn storage(storage: &DomainStorage) -> DiskStorage {
    match storage {
        DomainStorage::Rbd { .. } => DiskStorage::Rbd,
        DomainStorage::File {
            format: FileFormat::Qcow2,
            ..
        } => DiskStorage::Qcow2File,
        DomainStorage::File {
            format: FileFormat::Raw,
            ..
        } => DiskStorage::RawFile,
        DomainStorage::BlockDevice { .. } => DiskStorage::BlockDevice,
        DomainStorage::Other => DiskStorage::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Uuid = Uuid::from_u128(7);

    fn rbd(image: &str) -> DomainStorage {
        DomainStorage::Rbd {
            pool: "vms".into(),
            image: image.into(),
        }
    }

    fn file(path: &str) -> DomainStorage {
        DomainStorage::File {
            path: path.into(),
            format: FileFormat::Raw,
        }
    }

    fn role_of(serial: Option<&str>, storage: DomainStorage) -> DiskRole {
        let disk = DomainDisk {
            device: "vda".into(),
            serial: serial.map(str::to_owned),
            storage,
        };
        role(SERVER, &disk)
    }

    #[test]
    fn novas_names_tell_what_a_disk_is() {
        let volume_id = Uuid::from_u128(9);
        let volume = DiskRole::Volume { volume_id };
        let serial = volume_id.to_string();
        let cases = [
            (Some(serial.as_str()), rbd("volume-9"), volume),
            (Some("WD-1"), file("/i/7/disk"), DiskRole::Root),
            (None, rbd(&format!("{SERVER}_disk")), DiskRole::Root),
            (
                None,
                rbd(&format!("{SERVER}_disk.eph1")),
                DiskRole::Ephemeral { number: 1 },
            ),
            (None, rbd(&format!("{SERVER}_disk.swap")), DiskRole::Swap),
            (None, file("/i/7/disk.config"), DiskRole::ConfigDrive),
            (
                None,
                file("/i/7/disk.local"),
                DiskRole::Ephemeral { number: 0 },
            ),
            (None, file("/i/7/disk.rescue"), DiskRole::Other),
            (
                None,
                rbd(&format!("{}_disk", Uuid::from_u128(8))),
                DiskRole::Other,
            ),
            (None, DomainStorage::Other, DiskRole::Other),
        ];
        for (serial, storage, expected) in cases {
            assert_eq!(role_of(serial, storage.clone()), expected, "{storage:?}");
        }
    }
}
