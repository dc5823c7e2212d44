//! Which volumes a restore makes, and what comes onto each. Pure.
//!
//! Every disk of the backup becomes a volume, also one that Nova kept: filled and checked before anybody
//! can start from it, which is not to be had of Nova's own disks (docs/adr/0003).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use services_types::{
    DiskId, DiskKeeper, DiskRecord, ImageId, ImageRecord, NovaDiskRole, ServerId, ServerRecord,
};

use super::backup::BackupDisk;

const GIB: u64 = 1 << 30;

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlannedVolume {
    /// The disk that it stands for; attached to several servers, it is one volume.
    pub(super) disk_id: DiskId,
    /// The first server that has it.
    pub(super) server_id: ServerId,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) size_gib: u64,
    /// `None`: the cloud's default type.
    pub(super) volume_type: Option<String>,
    pub(super) availability_zone: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) is_bootable: bool,
    pub(super) image_metadata: BTreeMap<String, String>,
    pub(super) content: Content,
}

/// What comes onto a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// The backup's images.
    Backup,
    /// What the original was made of: its owner has left it out of the backup.
    Image(ImageId),
    /// Nothing: its owner has left it out of the backup.
    Nothing,
}

/// Decides for all disks; what stands in the way is said all at once.
pub(super) fn planned(
    servers: &[ServerRecord],
    backup: &[BackupDisk],
    images: &BTreeSet<ImageId>,
) -> Result<Vec<PlannedVolume>, Vec<String>> {
    let sizes: BTreeMap<_, _> = backup
        .iter()
        .map(|disk| (disk.disk_id, disk.size_bytes))
        .collect();
    let (mut volumes, mut obstacles, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for server in servers {
        for disk in &server.disks {
            match volume(server, disk, &sizes, images) {
                Ok(volume) if seen.insert(volume.disk_id) => volumes.push(volume),
                Ok(_) => {}
                Err(obstacle) => obstacles.push(obstacle),
            }
        }
    }
    if obstacles.is_empty() {
        Ok(volumes)
    } else {
        Err(obstacles)
    }
}

/// Images that disks which were left out are made of again.
pub(super) fn images_needed(servers: &[ServerRecord]) -> BTreeSet<ImageId> {
    let of_server = |server: &ServerRecord| {
        let left_out = server.disks.iter().filter(|disk| disk.is_excluded);
        left_out
            .filter_map(|disk| image_of(server, disk))
            .collect::<Vec<_>>()
    };
    servers.iter().flat_map(of_server).collect()
}

/// What the owner should know of disks that Nova kept.
pub(super) fn warnings(servers: &[ServerRecord]) -> Vec<String> {
    let of_server = |server: &ServerRecord| {
        let disks = server.disks.iter();
        let kept =
            disks.filter_map(|disk| Some(format!("{} ({})", disk.device, disk.nova()?.role)));
        let kept: Vec<_> = kept.collect();
        (!kept.is_empty()).then(|| {
            format!(
                "Server {}: disks that Nova kept are volumes now: {}",
                server.name,
                kept.join(", ")
            )
        })
    };
    servers.iter().filter_map(of_server).collect()
}

fn volume(
    server: &ServerRecord,
    disk: &DiskRecord,
    sizes: &BTreeMap<DiskId, u64>,
    images: &BTreeSet<ImageId>,
) -> Result<PlannedVolume, String> {
    let disk_id = disk.id().map_err(|error| error.to_string())?;
    let what = || format!("disk {} of server {}", disk.device, server.name);
    let (content, size_bytes) = if disk.is_excluded {
        (content_of_excluded(server, disk, images)?, 0)
    } else {
        let size = sizes.get(&disk_id);
        let size = size.ok_or_else(|| format!("The backup has no image of {}", what()))?;
        (Content::Backup, *size)
    };
    let size_gib = |recorded: u64| recorded.max(size_bytes.div_ceil(GIB)).max(1);
    Ok(match &disk.keeper {
        DiskKeeper::Volume(original) => PlannedVolume {
            disk_id,
            server_id: server.id.clone(),
            name: original.name.clone(),
            description: original.description.clone(),
            size_gib: size_gib(original.size_gib),
            volume_type: original.volume_type.clone(),
            availability_zone: original.availability_zone.clone(),
            metadata: original.metadata.clone(),
            is_bootable: original.is_bootable,
            image_metadata: original.image_metadata.clone(),
            content,
        },
        DiskKeeper::Nova(original) => PlannedVolume {
            disk_id,
            server_id: server.id.clone(),
            name: format!("{}-{}", server.name, original.role),
            description: format!("Restored: once the {} disk that Nova kept", original.role),
            size_gib: size_gib(original.size_bytes.div_ceil(GIB)),
            volume_type: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            is_bootable: original.role == NovaDiskRole::Root,
            image_metadata: match original.role {
                NovaDiskRole::Root => server.image.as_ref().map(properties).unwrap_or_default(),
                _ => BTreeMap::new(),
            },
            content,
        },
    })
}

/// A server cannot start from nothing: its boot disk is made of its image again.
fn content_of_excluded(
    server: &ServerRecord,
    disk: &DiskRecord,
    images: &BTreeSet<ImageId>,
) -> Result<Content, String> {
    if !disk.is_boot {
        return Ok(Content::Nothing);
    }
    let told = format!(
        "The boot disk of server {} was left out of the backup, and",
        server.name
    );
    match image_of(server, disk) {
        Some(image) if images.contains(&image) => Ok(Content::Image(image)),
        Some(image) => Err(format!(
            "{told} image {image}, which it was made of, is gone"
        )),
        None => Err(format!("{told} it was made of no image")),
    }
}

fn image_of(server: &ServerRecord, disk: &DiskRecord) -> Option<ImageId> {
    match &disk.keeper {
        _ if !disk.is_boot => None,
        DiskKeeper::Volume(volume) => volume.image_metadata.get("image_id")?.parse().ok(),
        DiskKeeper::Nova(_) => Some(server.image.as_ref()?.id.clone()),
    }
}

/// What Cinder keeps with a volume that is made of an image: guests and Nova go by it.
fn properties(image: &ImageRecord) -> BTreeMap<String, String> {
    let mut properties = image.properties.clone();
    properties.insert("image_id".to_owned(), image.id.to_string());
    if !image.name.is_empty() {
        properties.insert("image_name".to_owned(), image.name.clone());
    }
    properties
}
