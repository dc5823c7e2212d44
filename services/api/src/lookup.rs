//! Finding the row that a path names. What is not there and what belongs to another tenant cannot be
//! told apart.

use std::str::FromStr;

use services_db::{Datastore, Restore, Snapshot, Trust, Workload};
use services_types::{JobSchedule, ProjectId, RestoreId, SnapshotId, WorkloadId};

use crate::access::Access;
use crate::error::ApiError;
use crate::refusal::not_found;
use crate::v1::wire::Named;

/// The workload that a path names.
pub(crate) async fn workload(
    datastore: &Datastore,
    access: &Access,
    id: &str,
) -> Result<Workload, ApiError> {
    let found = datastore
        .workload_fetch(id_of::<WorkloadId>("workload", id)?)
        .await?;
    if_visible(access, found.project_id.clone(), found, "workload", id)
}

/// The snapshot that a path names, of that workload where the path names one.
pub(crate) async fn snapshot(
    datastore: &Datastore,
    access: &Access,
    id: &str,
    of_workload: Option<&str>,
) -> Result<Snapshot, ApiError> {
    let found = datastore
        .snapshot_fetch(id_of::<SnapshotId>("snapshot", id)?)
        .await?;
    if let Some(workload_id) = of_workload
        && id_of::<WorkloadId>("workload", workload_id)? != found.workload_id
    {
        return Err(not_found("snapshot", id));
    }
    if_visible(access, found.project_id.clone(), found, "snapshot", id)
}

/// The restore that a path names, of that snapshot of that workload where the path names them.
pub(crate) async fn restore(
    datastore: &Datastore,
    access: &Access,
    path: &Named,
) -> Result<Restore, ApiError> {
    let found = datastore
        .restore_fetch(id_of::<RestoreId>("restore", &path.id)?)
        .await?;
    if let Some(id) = &path.snapshot_id {
        let of_workload = path.workload_id.as_deref();
        if snapshot(datastore, access, id, of_workload).await?.id != found.snapshot_id {
            return Err(not_found("restore", &path.id));
        }
    }
    if_visible(access, found.project_id.clone(), found, "restore", &path.id)
}

/// The trust that a path names. Others' trusts are seen by administrators only.
pub(crate) async fn trust(
    datastore: &Datastore,
    access: &Access,
    name: &str,
) -> Result<Trust, ApiError> {
    let found = datastore.trust_fetch_by_name(name).await?;
    let is_own = access.owns(&found.project_id) && found.user_id == access.user_id;
    if is_own || access.is_admin {
        Ok(found)
    } else {
        Err(not_found("trust", name))
    }
}

/// Text that is no id names nothing.
pub(crate) fn id_of<T: FromStr>(what: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| not_found(what, text))
}

fn if_visible<T>(
    access: &Access,
    owner: ProjectId,
    found: T,
    what: &str,
    id: &str,
) -> Result<T, ApiError> {
    if access.can_see(&owner) {
        Ok(found)
    } else {
        Err(not_found(what, id))
    }
}

/// A workload's schedule as it is kept.
pub(crate) fn schedule(workload: &Workload) -> Result<JobSchedule, ApiError> {
    serde_json::from_value(workload.schedule.clone())
        .map_err(|source| ApiError::internal("read the schedule of a workload", source))
}
