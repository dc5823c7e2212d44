//! Freezes the file systems of all running guests, so that their disks agree with each other.

use agent_contract::{FreezeOutcome, FreezeRequest};
use async_trait::async_trait;
use futures::future::join_all;
use services_foundation::error_chain::ErrorChain;
use services_types::{ServerId, ServerRecord};
use tracing::warn;
use uuid::Uuid;

use super::plan::{DiskPlan, SnapshotPlan, VolumePlan};
use super::plan_disks::PlanDisks;
use super::read_topology::ReadTopology;
use crate::runner::{Step, StepContext, StepFailure};

/// Freezes all guests at once. A guest that cannot be frozen is a warning, not a failure.
#[derive(Debug)]
pub(super) struct FreezeGuests;

#[async_trait]
impl Step for FreezeGuests {
    const NAME: &'static str = "freeze_guests";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let topology = cx.output_of::<ReadTopology>()?;
        let plan = cx.output_of::<PlanDisks>()?;
        let running = topology.servers.iter().filter(|server| is_running(server));
        let (left_to_nova, ours): (Vec<_>, Vec<_>) =
            running.partition(|server| is_left_to_nova(server, &plan));
        let frozen = join_all(ours.into_iter().map(|server| freeze(cx, server))).await;
        let mut warnings: Vec<_> = left_to_nova.into_iter().map(frozen_by_nova).collect();
        for result in frozen {
            warnings.extend(result?);
        }
        Ok(warnings)
    }
}

/// Nova refuses to snapshot the volumes on shares of a server whose image requires freezing, if it cannot
/// freeze the guest by itself, as when that is frozen already.
fn is_left_to_nova(server: &ServerRecord, plan: &SnapshotPlan) -> bool {
    let by_nova = |(disk, volume): (&DiskPlan, &VolumePlan)| {
        disk.server_id == server.id && volume.is_snapshot_by_nova
    };
    requires_freezing(server) && plan.volumes().any(by_nova)
}

fn requires_freezing(server: &ServerRecord) -> bool {
    const PROPERTY: &str = "os_require_quiesce";
    let of_image = server.image.as_ref().map(|image| &image.properties);
    let boot = server.disks.iter().find(|disk| disk.is_boot);
    let of_volume = boot.and_then(|disk| Some(&disk.volume()?.image_metadata));
    let value = of_image.or(of_volume).and_then(|all| all.get(PROPERTY));
    value.is_some_and(|word| matches!(word.to_ascii_lowercase().as_str(), "yes" | "true" | "1"))
}

fn frozen_by_nova(server: &ServerRecord) -> String {
    format!(
        "Server {} ({}) was frozen by Nova for each of its volumes on shares, since its image requires that, and not as a whole: its disks may not agree",
        server.name, server.id
    )
}

fn is_running(server: &ServerRecord) -> bool {
    server.status == "ACTIVE"
}

/// The freeze of one server in this flow: derived, so that a repeated step asks for the same one.
fn freeze_id(cx: &StepContext, server_id: &ServerId) -> Uuid {
    Uuid::new_v5(cx.claim().flow_id.as_uuid(), server_id.as_str().as_bytes())
}

async fn freeze(cx: &StepContext, server: &ServerRecord) -> Result<Option<String>, StepFailure> {
    let deadline = cx.settings().freeze_deadline.as_secs();
    let request = FreezeRequest {
        epoch: cx.claim().epoch,
        server_id: server.id.to_string(),
        deadline_seconds: u32::try_from(deadline).unwrap_or(u32::MAX),
    };
    let id = freeze_id(cx, &server.id);
    let reason = match cx
        .datamover()
        .await?
        .freeze_start(&server.host, id, &request)
        .await
    {
        Ok(FreezeOutcome::Frozen { .. }) => return Ok(None),
        Ok(FreezeOutcome::NotPossible { reason }) => reason,
        Ok(FreezeOutcome::Thawed { .. }) => "it was thawed before its time".to_owned(),
        Err(error) => {
            warn!(server_id = %server.id, cause = %ErrorChain(&error), "guest was not frozen");
            "its datamover could not be asked".to_owned()
        }
    };
    Ok(Some(format!(
        "Server {} ({}) was not frozen, its backup is crash-consistent: {reason}",
        server.name, server.id
    )))
}

/// Thaws what the flow froze; gives warnings for guests that were thawed too early or not reached.
pub(super) async fn thaw_all(cx: &StepContext) -> Result<Vec<String>, StepFailure> {
    let topology = cx.output_of::<ReadTopology>()?;
    let plan = cx.output_of::<PlanDisks>()?;
    let ours = topology
        .servers
        .iter()
        .filter(|server| is_running(server) && !is_left_to_nova(server, &plan));
    let thawed = join_all(ours.map(|server| thaw(cx, server))).await;
    let mut warnings = Vec::new();
    for result in thawed {
        warnings.extend(result?);
    }
    Ok(warnings)
}

async fn thaw(cx: &StepContext, server: &ServerRecord) -> Result<Option<String>, StepFailure> {
    let id = freeze_id(cx, &server.id);
    let why = match cx.datamover().await?.freeze_end(&server.host, id).await {
        Ok(FreezeOutcome::Thawed { in_time: false }) => {
            "was thawed by its deadline before all disks were snapshot"
        }
        Ok(_) => return Ok(None),
        Err(error) if error.refusal() == Some(agent_contract::RefusalKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => {
            warn!(server_id = %server.id, cause = %ErrorChain(&error), "guest thaws by its deadline");
            "could not be thawed by us and thaws by its deadline"
        }
    };
    Ok(Some(format!(
        "Server {} ({}) {why}: its disks may not agree",
        server.name, server.id
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use agent_format::ObjectName;
    use services_types::{DiskId, FlavorRecord, ImageRecord};

    use super::super::plan::DiskSource;
    use super::*;
    use crate::storage::VolumeStorage;

    fn server(properties: &[(&str, &str)]) -> ServerRecord {
        let properties = properties.iter();
        ServerRecord {
            id: "server".parse().unwrap(),
            name: "db1".to_owned(),
            status: "ACTIVE".to_owned(),
            availability_zone: None,
            host: "compute".to_owned(),
            instance_name: String::new(),
            metadata: BTreeMap::new(),
            key_name: None,
            has_config_drive: false,
            user_data: None,
            image: Some(ImageRecord {
                id: "image".parse().unwrap(),
                name: String::new(),
                properties: properties
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            }),
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
            nics: Vec::new(),
            disks: Vec::new(),
        }
    }

    fn plan(server_id: &str, is_snapshot_by_nova: bool) -> SnapshotPlan {
        SnapshotPlan {
            backing_snapshot_id: None,
            disks: vec![DiskPlan {
                server_id: server_id.parse().unwrap(),
                host: "compute".to_owned(),
                device: "vdb".to_owned(),
                disk_id: DiskId::random(),
                size_bytes: 1,
                source: DiskSource::Volume(VolumePlan {
                    volume_id: "volume".parse().unwrap(),
                    size_gib: 1,
                    attachment_id: "attachment".parse().unwrap(),
                    storage: VolumeStorage::Share,
                    is_snapshot_by_nova,
                }),
                image: ObjectName::new("w/image").unwrap(),
                base: None,
            }],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn nova_freezes_by_itself_where_it_must_and_takes_the_snapshots() {
        let required = [("os_require_quiesce", "Yes")];
        for (properties, of, by_nova, expected) in [
            (&required[..], "server", true, true),
            (&required[..], "server", false, false),
            (&required[..], "other", true, false),
            (&[("os_require_quiesce", "no")][..], "server", true, false),
            (&[("hw_qemu_guest_agent", "yes")][..], "server", true, false),
        ] {
            let is_left = is_left_to_nova(&server(properties), &plan(of, by_nova));
            assert_eq!(is_left, expected, "{properties:?} {of} {by_nova}");
        }
    }
}
