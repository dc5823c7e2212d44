//! The disks of a guest, as libvirt's description has them.

use std::{collections::BTreeMap, path::PathBuf};

use roxmltree::{Document, Node};

use super::Libvirt;
use crate::{BlocksError, ErrorKind, qemu_nbd::FileFormat};

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// It has a process: running, paused, shutting down.
    pub is_running: bool,
    /// Those with a medium, in the order of the description.
    pub disks: Vec<DomainDisk>,
}

/// A disk of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainDisk {
    /// `vda`.
    pub device: String,
    /// What the guest sees as its serial number.
    pub serial: Option<String>,
    /// What keeps its bytes.
    pub storage: DomainStorage,
}

/// What keeps a disk's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainStorage {
    /// An image in Ceph.
    Rbd {
        /// Pool.
        pool: String,
        /// Image.
        image: String,
    },
    /// A file.
    File {
        /// Where.
        path: PathBuf,
        /// How its bytes are to be understood.
        format: FileFormat,
    },
    /// A block device of the host.
    BlockDevice {
        /// The device node.
        path: PathBuf,
    },
    /// Encrypted by QEMU, in a format or reached in a way that we know nothing of.
    Other,
}

impl Domain {
    /// The disk of this name.
    pub fn disk(&self, device: &str) -> Option<&DomainDisk> {
        self.disks.iter().find(|disk| disk.device == device)
    }

    fn parse(xml: &str) -> Result<Self, roxmltree::Error> {
        let document = Document::parse(xml)?;
        let domain = document.root_element();
        let devices = child(domain, "devices");
        let disks = devices.into_iter().flat_map(|devices| devices.children());
        Ok(Self {
            is_running: domain.has_attribute("id"),
            disks: disks.filter_map(disk).collect(),
        })
    }
}

impl Libvirt {
    /// The guest as it is now; one that runs as it runs, not as it will start next.
    pub fn domain(&self, guest: &str) -> Result<Domain, BlocksError> {
        let xml = self.virsh("dumpxml", guest, &[])?;
        Domain::parse(&xml).map_err(|error| {
            let doing = format!("read libvirt's description of {guest}");
            BlocksError::caused(ErrorKind::Protocol, doing, error)
        })
    }

    /// The sizes that a running guest sees, by device.
    pub fn sizes_of_running(&self, guest: &str) -> Result<BTreeMap<String, u64>, BlocksError> {
        Ok(parse_sizes(&self.virsh("domstats", guest, &["--block"])?))
    }

    /// The size that a stopped guest will see, of a disk that is a file or a block device.
    pub fn size_of_stopped(&self, guest: &str, device: &str) -> Result<u64, BlocksError> {
        let printed = self.virsh("domblkinfo", guest, &["--device", device])?;
        let capacity = printed
            .lines()
            .find_map(|line| line.strip_prefix("Capacity:"));
        let capacity = capacity.and_then(|number| number.trim().parse().ok());
        capacity.ok_or_else(|| {
            let doing = format!("find the size of disk {device} of {guest}");
            BlocksError::new(ErrorKind::Protocol, doing)
        })
    }
}

fn parse_sizes(printed: &str) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    let mut sizes = BTreeMap::new();
    for line in printed.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let Some((number, field)) = key
            .strip_prefix("block.")
            .and_then(|key| key.split_once('.'))
        else {
            continue;
        };
        match field {
            "name" => {
                names.insert(number.to_owned(), value.to_owned());
            }
            "capacity" => {
                sizes.extend(value.parse().ok().map(|size| (number.to_owned(), size)));
            }
            _ => {}
        }
    }
    let sized = |(number, name)| Some((name, *sizes.get(&number)?));
    names.into_iter().filter_map(sized).collect()
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// None for a drive without a medium.
fn disk(node: Node<'_, '_>) -> Option<DomainDisk> {
    if !node.has_tag_name("disk") {
        return None;
    }
    let source = child(node, "source")?;
    Some(DomainDisk {
        device: child(node, "target")?.attribute("dev")?.to_owned(),
        serial: child(node, "serial")
            .and_then(|serial| serial.text())
            .map(|text| text.trim().to_owned()),
        storage: storage(node, source).unwrap_or(DomainStorage::Other),
    })
}

fn storage(disk: Node<'_, '_>, source: Node<'_, '_>) -> Option<DomainStorage> {
    if child(disk, "encryption").is_some() || child(source, "encryption").is_some() {
        return None;
    }
    let format = child(disk, "driver").and_then(|driver| driver.attribute("type"));
    match disk.attribute("type")? {
        "network" if source.attribute("protocol") == Some("rbd") => {
            let (pool, image) = source.attribute("name")?.split_once('/')?;
            // A pool's namespace stands between the two; Cinder and Nova have none.
            (!image.contains('/')).then(|| DomainStorage::Rbd {
                pool: pool.to_owned(),
                image: image.to_owned(),
            })
        }
        "file" => Some(DomainStorage::File {
            path: source.attribute("file")?.into(),
            format: match format? {
                "raw" => FileFormat::Raw,
                "qcow2" => FileFormat::Qcow2,
                _ => return None,
            },
        }),
        "block" if format == Some("raw") => Some(DomainStorage::BlockDevice {
            path: source.attribute("dev")?.into(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='qemu' id='35'><name>instance-00000021</name><devices>
        <disk type='network' device='disk'><driver name='qemu' type='raw'/>
          <source protocol='rbd' name='volumes/volume-1' index='2'><host name='127.0.0.1'/></source>
          <target dev='vda' bus='virtio'/><serial>0dfd3145-90e9-47a0-ac71-3860ed295730</serial></disk>
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/a&amp;b/disk'/>
          <backingStore type='file'><format type='raw'/><source file='/i/_base/1'/></backingStore>
          <target dev='vdb' bus='virtio'/></disk>
        <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='sda'/></disk>
        <disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/sdx'/>
          <target dev='vdc'/></disk>
        <disk type='file' device='disk'><driver name='qemu' type='raw'/>
          <source file='/i/disk.local'><encryption format='luks'/></source><target dev='vdd'/></disk>
        <disk type='file' device='disk'><driver name='qemu' type='vmdk'/>
          <source file='/i/x'/><target dev='vde'/></disk>
        </devices></domain>";

    #[test]
    fn disks_are_told_with_what_keeps_them() {
        let domain = Domain::parse(XML).unwrap();
        assert!(domain.is_running);
        let storage: Vec<_> = domain
            .disks
            .iter()
            .map(|disk| (disk.device.as_str(), disk.storage.clone()))
            .collect();
        let rbd = DomainStorage::Rbd {
            pool: "volumes".into(),
            image: "volume-1".into(),
        };
        let file = DomainStorage::File {
            path: "/i/a&b/disk".into(),
            format: FileFormat::Qcow2,
        };
        let block = DomainStorage::BlockDevice {
            path: "/dev/sdx".into(),
        };
        let expected = [
            ("vda", rbd),
            ("vdb", file),
            ("vdc", block),
            ("vdd", DomainStorage::Other),
            ("vde", DomainStorage::Other),
        ];
        assert_eq!(storage, expected);
        let serial = domain.disk("vda").unwrap().serial.as_deref();
        assert_eq!(serial, Some("0dfd3145-90e9-47a0-ac71-3860ed295730"));
    }

    #[test]
    fn a_guest_without_an_id_does_not_run_and_torn_xml_is_an_error() {
        let stopped = Domain::parse("<domain type='kvm'><devices/></domain>").unwrap();
        assert!(!stopped.is_running && stopped.disks.is_empty());
        assert!(Domain::parse("<domain type='kvm'><devices>").is_err());
    }

    #[test]
    fn sizes_come_by_device() {
        let printed = "Domain: 'x'\n  block.count=2\n  block.0.name=vda\n  block.0.path=/a=b\n  \
                       block.0.capacity=1024\n  block.1.name=sda\n  block.1.rd.reqs=7\n";
        assert_eq!(parse_sizes(printed), [("vda".to_owned(), 1024)].into());
    }
}
