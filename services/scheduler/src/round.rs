//! Once over all workloads: asks for the snapshots that are due. Keeps nothing from round to round;
//! what was asked for stands in the database. A workload that cannot be served is logged and does
//! not keep the others from their backups.

use chrono::{DateTime, Utc};
use services_db::{Conflict, Datastore, Error, NewSnapshot, Snapshot, SnapshotFilter, Workload};
use services_foundation::error_chain::ErrorChain;
use services_types::{FlowId, JobSchedule, SnapshotId, WorkloadStatus};

use crate::due::due;

/// The contract's name of every scheduled snapshot.
const NAME: &str = "jobscheduler";

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Snapshots asked for.
    pub requested: usize,
    /// Workloads whose turn it is and that are busy; the next round tries again.
    pub postponed: usize,
    /// Workloads that could not be served.
    pub failed: usize,
}

/// Why one workload could not be served, or the whole round not be begun.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The database said no.
    #[error("look for due workloads")]
    Database(#[from] Error),
    /// The schedule that is kept is none.
    #[error("read the schedule")]
    Schedule(#[from] serde_json::Error),
}

enum Served {
    NotDue,
    Requested,
    Postponed,
}

/// Asks for what is due at `now`, to be stored on the target of this id.
pub async fn run_round(
    datastore: &Datastore,
    target_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Round, RoundError> {
    let mut round = Round::default();
    for workload in datastore.workload_list(None).await? {
        match serve(datastore, &workload, target_id, now).await {
            Ok(Served::NotDue) => {}
            Ok(Served::Requested) => round.requested += 1,
            Ok(Served::Postponed) => round.postponed += 1,
            Err(error) => {
                round.failed += 1;
                let error = ErrorChain(&error);
                tracing::error!(workload_id = %workload.id, %error, "A schedule was not served");
            }
        }
    }
    Ok(round)
}

async fn serve(
    datastore: &Datastore,
    workload: &Workload,
    target_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Served, RoundError> {
    let can_run = matches!(
        workload.status,
        WorkloadStatus::Available | WorkloadStatus::Locked
    );
    let schedule: JobSchedule = serde_json::from_value(workload.schedule.clone())?;
    // Most workloads are not due: that is seen without reading their snapshots.
    if !can_run || due(&schedule, workload.created_at, now).is_none() {
        return Ok(Served::NotDue);
    }
    let filter = SnapshotFilter {
        workload_id: Some(workload.id),
        ..SnapshotFilter::default()
    };
    let snapshots = datastore.snapshot_list(filter).await?;
    let Some(slot) = due(&schedule, last_run(workload, &snapshots), now) else {
        return Ok(Served::NotDue);
    };
    let incrementals = incrementals_since_full(datastore, workload).await?;
    let new = NewSnapshot {
        id: SnapshotId::random(),
        workload_id: workload.id,
        user_id: workload.user_id.clone(),
        project_id: workload.project_id.clone(),
        name: NAME.to_owned(),
        description: String::new(),
        is_full: schedule.full_backup.is_due(incrementals),
        due_at: Some(slot),
        target_id: target_id.map(str::to_owned),
    };
    request(datastore, workload, new, slot).await
}

async fn request(
    datastore: &Datastore,
    workload: &Workload,
    new: NewSnapshot,
    slot: DateTime<Utc>,
) -> Result<Served, RoundError> {
    let (snapshot_id, workload_id) = (new.id, workload.id);
    match datastore.snapshot_request(new, FlowId::random()).await {
        Ok(_) => {
            tracing::info!(%workload_id, %snapshot_id, %slot, "A scheduled snapshot was asked for");
            Ok(Served::Requested)
        }
        // Another scheduler was faster, or the snapshot was deleted since.
        Err(Error::Conflict(Conflict::AlreadyDue)) => Ok(Served::NotDue),
        // Deleted since it was listed.
        Err(Error::NotFound { .. }) => Ok(Served::NotDue),
        Err(Error::Conflict(conflict)) => {
            tracing::warn!(%workload_id, %slot, %conflict, "A scheduled snapshot has to wait");
            Ok(Served::Postponed)
        }
        Err(error) => Err(error.into()),
    }
}

fn last_run(workload: &Workload, snapshots: &[Snapshot]) -> DateTime<Utc> {
    let slots = snapshots.iter().filter_map(|snapshot| snapshot.due_at);
    slots
        .max()
        .map_or(workload.created_at, |last| last.max(workload.created_at))
}

/// How many incrementals in a row were made since the last full one, those included that retention has
/// merged since. None where the next one has to be full anyway.
async fn incrementals_since_full(
    datastore: &Datastore,
    workload: &Workload,
) -> Result<u32, RoundError> {
    let newest = datastore.snapshot_newest_available(workload.id).await?;
    Ok(newest.map_or(0, |it| it.incrementals_since_full))
}
