//! The disks of a member server: its volumes as Nova and Cinder have them, and those that Nova itself
//! keeps for it, which only its host knows.

use agent_contract::{DiskRole, DiskStorage, RefusalKind, ServerDisk};
use services_openstack::CloudError;
use services_openstack::ports::{Server, Volume, VolumeAttachment};
use services_types::{
    DiskId, DiskKeeper, DiskRecord, NovaDiskRecord, NovaDiskRole, ServerId, VolumeRecord,
};
use uuid::Uuid;

use crate::context::FlowContext;
use crate::datamovers;
use crate::runner::StepFailure;

/// Server metadata by which an owner leaves the boot disk out.
const EXCLUDE_BOOT_DISK: &str = "exclude_boot_disk_from_backup";
/// Volume metadata by which an owner leaves a volume out.
const EXCLUDE_VOLUME: &str = "exclude_from_backup";

/// Disks of a server, the boot disk first, then by device. One that cannot be protected is an error
/// that says why, unless its owner has left it out.
pub(super) async fn of_server(
    cx: &FlowContext,
    server: &Server,
    host: &str,
) -> Result<Vec<DiskRecord>, StepFailure> {
    let mut disks = volumes(cx, &server.id).await?;
    if has_disks_of_nova(server) {
        disks.extend(kept_by_nova(cx, &server.id, host).await?);
    }
    in_order(server, &mut disks)?;
    for disk in &disks {
        if let Some(volume) = disk.volume()
            && volume.is_encrypted
            && !disk.is_excluded
        {
            return Err(StepFailure::new(format!(
                "Unencrypted workload cannot have instance with encrypted Volume {}",
                volume.id
            )));
        }
    }
    Ok(disks)
}

/// Whether Nova has made disks for it: the host need not be asked about others.
fn has_disks_of_nova(server: &Server) -> bool {
    let flavor = &server.flavor;
    server.image_id.is_some() || flavor.ephemeral_gib > 0 || flavor.swap_mib > 0
}

async fn volumes(cx: &FlowContext, id: &ServerId) -> Result<Vec<DiskRecord>, StepFailure> {
    let attached = cx.tenant().await?.compute().volume_attachments(id).await?;
    let mut disks = Vec::with_capacity(attached.len());
    for attachment in attached {
        let storage = cx.tenant().await?.block_storage();
        let fetched = storage.volume_fetch(&attachment.volume_id).await;
        let volume = fetched.map_err(|error| volume_failure(id, &attachment, error))?;
        disks.push(disk_of_volume(volume, attachment));
    }
    Ok(disks)
}

fn volume_failure(id: &ServerId, attachment: &VolumeAttachment, error: CloudError) -> StepFailure {
    if error.is_not_found() {
        StepFailure::because(
            format!(
                "Volume {} of server {id} no longer exists in Cinder: detach it, then take the snapshot again",
                attachment.volume_id
            ),
            &error,
        )
    } else {
        error.into()
    }
}

fn disk_of_volume(volume: Volume, attachment: VolumeAttachment) -> DiskRecord {
    DiskRecord {
        device: attachment.device.trim_start_matches("/dev/").to_owned(),
        is_boot: false,
        is_deleted_on_termination: attachment.is_deleted_on_termination,
        is_excluded: says_yes(volume.metadata.get(EXCLUDE_VOLUME)),
        keeper: DiskKeeper::Volume(VolumeRecord {
            id: volume.id,
            name: volume.name,
            description: volume.description,
            size_gib: volume.size_gib,
            volume_type: volume.volume_type,
            availability_zone: volume.availability_zone,
            is_bootable: volume.is_bootable,
            is_multiattach: volume.is_multiattach,
            is_encrypted: volume.is_encrypted,
            metadata: volume.metadata,
            image_metadata: volume.image_metadata,
            attachment_id: attachment.attachment_id,
        }),
    }
}

async fn kept_by_nova(
    cx: &FlowContext,
    id: &ServerId,
    host: &str,
) -> Result<Vec<DiskRecord>, StepFailure> {
    let uuid = uuid_of(id)?;
    let seen = match cx.datamover().await?.server_disks(host, uuid).await {
        Ok(seen) => seen,
        Err(error) if error.refusal() == Some(RefusalKind::NotFound) => {
            let words = format!("The host of server {id} does not have it at the moment");
            return Err(datamovers::failure(cx, words, &error).await);
        }
        Err(error) => {
            let words = format!("The disks of server {id} cannot be looked at on its host");
            return Err(datamovers::failure(cx, words, &error).await);
        }
    };
    let kept = seen.disks.into_iter().filter_map(|disk| {
        let role = nova_role(disk.role)?;
        Some(disk_of_nova(id, &uuid, role, disk))
    });
    kept.collect()
}

fn nova_role(role: DiskRole) -> Option<NovaDiskRole> {
    match role {
        DiskRole::Root => Some(NovaDiskRole::Root),
        DiskRole::Ephemeral { number } => Some(NovaDiskRole::Ephemeral { number }),
        DiskRole::Swap => Some(NovaDiskRole::Swap),
        DiskRole::Volume { .. } | DiskRole::ConfigDrive | DiskRole::Other => None,
    }
}

fn disk_of_nova(
    id: &ServerId,
    uuid: &Uuid,
    role: NovaDiskRole,
    disk: ServerDisk,
) -> Result<DiskRecord, StepFailure> {
    if disk.storage == DiskStorage::Other {
        return Err(StepFailure::new(format!(
            "Disk {} of server {id} ({role}, kept by Nova) lies on storage that cannot be protected",
            disk.device
        )));
    }
    Ok(DiskRecord {
        device: disk.device,
        is_boot: false,
        is_deleted_on_termination: true,
        is_excluded: false,
        keeper: DiskKeeper::Nova(NovaDiskRecord {
            id: DiskId::of_server(uuid, role),
            role,
            size_bytes: disk.size_bytes,
        }),
    })
}

/// The server's id as its host has it.
pub(super) fn uuid_of(id: &ServerId) -> Result<Uuid, StepFailure> {
    let parsed = id.as_str().parse::<Uuid>();
    parsed.map_err(|e| StepFailure::because("The cloud's ids are no UUIDs", &e))
}

/// Sorts them, and says which is booted from: Nova's root if there is one, else the first volume.
fn in_order(server: &Server, disks: &mut [DiskRecord]) -> Result<(), StepFailure> {
    disks.sort_by(|a, b| {
        let key = |disk: &DiskRecord| (!is_root(disk), disk.device.len());
        key(a).cmp(&key(b)).then_with(|| a.device.cmp(&b.device))
    });
    let is_of_image = disks.first().is_some_and(is_root);
    if !is_of_image && server.image_id.is_some() {
        return Err(StepFailure::new(format!(
            "The root disk of server {} is not to be seen on its host",
            server.id
        )));
    }
    let boot = disks
        .iter_mut()
        .find(|disk| is_of_image || disk.volume().is_some());
    let Some(boot) = boot else {
        return Err(StepFailure::new(format!(
            "Server {} has no disk that could be protected",
            server.id
        )));
    };
    boot.is_boot = true;
    boot.is_excluded |= says_yes(server.metadata.get(EXCLUDE_BOOT_DISK));
    Ok(())
}

fn is_root(disk: &DiskRecord) -> bool {
    disk.nova()
        .is_some_and(|nova| nova.role == NovaDiskRole::Root)
}

/// As people write it into metadata.
fn says_yes(value: Option<&String>) -> bool {
    value.is_some_and(|text| {
        matches!(
            text.trim().to_ascii_lowercase().as_str(),
            "true" | "yes" | "on" | "1"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use services_types::FlavorRecord;

    use super::*;

    fn server(image_id: Option<&str>, metadata: &[(&str, &str)]) -> Server {
        let pairs = metadata.iter();
        Server {
            id: "server".parse().unwrap(),
            name: "db1".to_owned(),
            status: "ACTIVE".to_owned(),
            fault: None,
            project_id: "p".parse().unwrap(),
            user_id: "u".parse().unwrap(),
            availability_zone: None,
            host: None,
            instance_name: None,
            metadata: pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            key_name: None,
            has_config_drive: false,
            user_data: None,
            image_id: image_id.map(|id| id.parse().unwrap()),
            flavor: FlavorRecord {
                id: None,
                name: "small".to_owned(),
                vcpus: 1,
                ram_mib: 128,
                disk_gib: 1,
                ephemeral_gib: 0,
                swap_mib: 0,
                extra_specs: BTreeMap::new(),
            },
        }
    }

    fn volume(device: &str) -> DiskRecord {
        DiskRecord {
            device: device.to_owned(),
            is_boot: false,
            is_deleted_on_termination: false,
            is_excluded: false,
            keeper: DiskKeeper::Volume(VolumeRecord {
                id: device.parse().unwrap(),
                name: String::new(),
                description: String::new(),
                size_gib: 1,
                volume_type: None,
                availability_zone: None,
                is_bootable: false,
                is_multiattach: false,
                is_encrypted: false,
                metadata: BTreeMap::new(),
                image_metadata: BTreeMap::new(),
                attachment_id: "a".parse().unwrap(),
            }),
        }
    }

    fn nova(device: &str, role: NovaDiskRole) -> DiskRecord {
        DiskRecord {
            keeper: DiskKeeper::Nova(NovaDiskRecord {
                id: DiskId::of_server(&Uuid::from_u128(1), role),
                role,
                size_bytes: 1,
            }),
            ..volume(device)
        }
    }

    fn ordered(server: &Server, mut disks: Vec<DiskRecord>) -> Vec<(String, bool, bool)> {
        in_order(server, &mut disks).unwrap();
        let told = disks.into_iter();
        told.map(|disk| (disk.device, disk.is_boot, disk.is_excluded))
            .collect()
    }

    fn told(device: &str, is_boot: bool, is_excluded: bool) -> (String, bool, bool) {
        (device.to_owned(), is_boot, is_excluded)
    }

    #[test]
    fn a_server_boots_from_its_first_volume_or_from_novas_root() {
        let many = ["vdaa", "vdb", "vda"].map(volume).to_vec();
        assert_eq!(
            ordered(&server(None, &[]), many),
            [
                told("vda", true, false),
                told("vdb", false, false),
                told("vdaa", false, false)
            ]
        );
        let of_image = vec![
            volume("vdc"),
            nova("vdb", NovaDiskRole::Swap),
            nova("vda", NovaDiskRole::Root),
        ];
        assert_eq!(
            ordered(&server(Some("i"), &[]), of_image),
            [
                told("vda", true, false),
                told("vdb", false, false),
                told("vdc", false, false)
            ]
        );
        // Nova's own disks do not make a volume-booted server boot from them.
        let beside = vec![volume("vdc"), nova("vda", NovaDiskRole::Swap)];
        assert_eq!(
            ordered(&server(None, &[]), beside),
            [told("vda", false, false), told("vdc", true, false)]
        );
    }

    #[test]
    fn the_boot_disk_is_left_out_where_the_servers_metadata_says_so() {
        for (word, is_excluded) in [
            ("True", true),
            ("yes", true),
            ("1", true),
            ("no", false),
            ("", false),
        ] {
            let server = server(None, &[(EXCLUDE_BOOT_DISK, word)]);
            let disks = vec![volume("vda"), volume("vdb")];
            assert_eq!(
                ordered(&server, disks),
                [told("vda", true, is_excluded), told("vdb", false, false)],
                "{word:?}"
            );
        }
    }

    #[test]
    fn a_root_disk_that_its_host_does_not_show_is_not_passed_over() {
        let mut disks = vec![volume("vdb")];
        let failure = in_order(&server(Some("i"), &[]), &mut disks).unwrap_err();
        assert!(failure.tenant_message.contains("root disk"), "{failure}");
        assert!(in_order(&server(None, &[]), &mut []).is_err());
    }
}
