//! Takes a point in time of the disks that Nova keeps, on each server's own host.

use std::collections::BTreeMap;

use agent_contract::{PointDisk, PointEnd, PointId, PointRequest, TakenDisk};
use async_trait::async_trait;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use services_types::{DiskId, ServerId};
use tokio::time::Instant;
use uuid::Uuid;

use super::plan::{Changes, DiskPlan};
use super::plan_disks::PlanDisks;
use crate::FlowContext;
use crate::datamovers;
use crate::flows::disks::uuid_of;
use crate::runner::{Step, StepContext, StepFailure};

/// Between attempts to end a point on a host that does not answer.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(800);

/// One point a server, or finds the one that this flow took. After Cinder's snapshots: where Nova takes
/// those for Cinder (volumes on shares), libvirt refuses while a point is open.
#[derive(Debug)]
pub(super) struct TakePoints;

/// All that was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct TakenPoints {
    pub(super) disks: BTreeMap<DiskId, TakenPoint>,
    /// Warnings for the snapshot.
    pub(super) warnings: Vec<String>,
}

/// One disk at that moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TakenPoint {
    pub(super) point: PointId,
    pub(super) size_bytes: u64,
    /// The earlier mark that its changes are told from; `None`: they are found by hash.
    pub(super) since: Option<String>,
    /// What the next backup tells its changes from.
    pub(super) mark: Option<String>,
}

#[async_trait]
impl Step for TakePoints {
    const NAME: &'static str = "take_points";
    type Output = TakenPoints;

    async fn run(&self, cx: &StepContext) -> Result<TakenPoints, StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let wanted = plan.disks_of_nova();
        let all = wanted.iter().map(|(id, disks)| take(cx, id, disks));
        let mut taken = TakenPoints::default();
        for of_server in try_join_all(all).await? {
            taken.disks.extend(of_server.disks);
            taken.warnings.extend(of_server.warnings);
        }
        Ok(taken)
    }
}

/// The point of a server in this flow: derived, so that a repeated step asks for the same one.
fn point_id(cx: &FlowContext, server_id: &ServerId) -> PointId {
    let name = format!("point {server_id}");
    PointId(Uuid::new_v5(cx.claim().flow_id.as_uuid(), name.as_bytes()))
}

async fn take(
    cx: &StepContext,
    server_id: &ServerId,
    disks: &[&DiskPlan],
) -> Result<TakenPoints, StepFailure> {
    let Some(host) = disks.first().map(|disk| disk.host.as_str()) else {
        return Ok(TakenPoints::default());
    };
    let id = point_id(cx, server_id);
    let request = PointRequest {
        epoch: cx.claim().epoch,
        server_id: uuid_of(server_id)?,
        disks: disks.iter().map(|disk| wanted(disk)).collect(),
    };
    let status = match cx.datamover().await?.point_take(host, id, &request).await {
        Ok(status) => status,
        Err(error) => {
            let words = format!("No point in time of the disks of server {server_id} was taken");
            return Err(datamovers::failure(cx, words, &error).await);
        }
    };
    let mut of_server = TakenPoints::default();
    for disk in disks {
        let found = status.disks.iter().find(|it| it.device == disk.device);
        let found = found.ok_or_else(|| {
            StepFailure::new(format!("No point in time of {} was taken", disk.what()))
        })?;
        let (point, warning) = taken(id, disk, found);
        of_server.disks.insert(disk.disk_id, point);
        of_server.warnings.extend(warning);
    }
    Ok(of_server)
}

fn wanted(disk: &DiskPlan) -> PointDisk {
    PointDisk {
        device: disk.device.clone(),
        since: mark_of_base(disk),
    }
}

fn mark_of_base(disk: &DiskPlan) -> Option<String> {
    match &disk.base.as_ref()?.changes {
        Changes::Mark(mark) => Some(mark.clone()),
        Changes::Since(_) | Changes::ByHash => None,
    }
}

fn taken(point: PointId, disk: &DiskPlan, found: &TakenDisk) -> (TakenPoint, Option<String>) {
    let warning = found.changes_unknown.as_ref().map(|why| {
        format!(
            "What has changed on {} since its last backup is not known, so it was read whole and compared: {why}",
            disk.what()
        )
    });
    let taken = TakenPoint {
        point,
        size_bytes: found.size_bytes,
        since: mark_of_base(disk).filter(|_| warning.is_none()),
        mark: found.mark.clone(),
    };
    (taken, warning)
}

/// Ends the points of this flow, on all hosts; gives the servers whose point may still stand, with why.
/// A host that does not answer is asked again for as long as the settings have patience.
pub(super) async fn end_all(
    cx: &StepContext,
    keep_marks: bool,
) -> Result<Vec<(ServerId, StepFailure)>, StepFailure> {
    let plan = cx.output_of::<PlanDisks>()?;
    let mut left = Vec::new();
    for (server_id, disks) in plan.disks_of_nova() {
        let Some(host) = disks.first().map(|disk| disk.host.as_str()) else {
            continue;
        };
        match end(cx, server_id, host, keep_marks).await {
            Ok(()) => {}
            Err(failure) if failure.gives_up_flow => return Err(failure),
            Err(failure) => left.push((server_id.clone(), failure)),
        }
    }
    Ok(left)
}

async fn end(
    cx: &StepContext,
    server_id: &ServerId,
    host: &str,
    keep_marks: bool,
) -> Result<(), StepFailure> {
    let id = point_id(cx, server_id);
    let end = PointEnd {
        epoch: cx.claim().epoch,
        keep_marks,
    };
    let limit = Instant::now() + cx.settings().cloud_patience;
    loop {
        match cx.datamover().await?.point_end(host, id, end).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && Instant::now() < limit => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                let words =
                    format!("The point in time of server {server_id} may still stand on its host");
                return Err(datamovers::failure(cx, words, &error).await);
            }
        }
    }
}
