//! How much of the past a workload keeps: decided from its snapshots, its schedule's retention and the
//! time, after each snapshot that succeeded. One deletion follows the other until nothing is left to go.

use chrono::{DateTime, TimeDelta, Utc};
use services_db::{Prune, Snapshot, SnapshotFilter};
use services_types::{FlowId, FlowRequest, JobSchedule, Retention, SnapshotId, SnapshotStatus};
use tracing::{info, warn};
use uuid::Uuid;

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// A snapshot as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    id: SnapshotId,
    created_at: DateTime<Utc>,
    standing: Standing,
    /// An attempt to delete it failed.
    was_tried: bool,
}

/// What a snapshot is to retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A backup at rest.
    Good,
    /// A backup that something reads: it counts, and stays for now.
    InUse,
    /// Its deletion has begun, and has to be finished.
    HalfDeleted,
    /// No backup, whole or at all: it does not count, and stays for its owner to look at.
    Bad,
}

impl Candidate {
    fn of(snapshot: &Snapshot) -> Self {
        // A snapshot that was never whole has not come to 100.
        let was_whole = snapshot.progress_percent == 100;
        let standing = match snapshot.status {
            SnapshotStatus::Available if snapshot.damage.is_some() => Standing::Bad,
            SnapshotStatus::Available => Standing::Good,
            SnapshotStatus::Restoring | SnapshotStatus::Verifying => Standing::InUse,
            SnapshotStatus::Error if was_whole => Standing::HalfDeleted,
            _ => Standing::Bad,
        };
        Self {
            id: snapshot.id,
            created_at: snapshot.created_at,
            standing,
            was_tried: snapshot.error_msg.is_some(),
        }
    }

    fn counts(&self) -> bool {
        matches!(self.standing, Standing::Good | Standing::InUse)
    }
}

/// What goes, in the order in which it goes: oldest first, those whose deletion failed before last. The
/// newest good one never goes.
fn prunable(snapshots: &[Candidate], retention: Retention, now: DateTime<Utc>) -> Vec<SnapshotId> {
    let mut good: Vec<_> = snapshots.iter().filter(|it| it.counts()).collect();
    good.sort_by_key(|it| std::cmp::Reverse((it.created_at, it.id)));
    let is_kept = |number: usize, snapshot: &Candidate| match retention {
        _ if number == 0 => true,
        Retention::Snapshots(count) => number < usize::try_from(count).unwrap_or(usize::MAX),
        Retention::Days(days) => now - snapshot.created_at <= TimeDelta::days(i64::from(days)),
    };
    let too_old = good.into_iter().enumerate();
    let too_old = too_old
        .filter(|(number, snapshot)| !is_kept(*number, snapshot))
        .map(|(_, snapshot)| snapshot)
        .filter(|snapshot| snapshot.standing == Standing::Good);
    let unfinished = snapshots
        .iter()
        .filter(|it| it.standing == Standing::HalfDeleted);
    let mut prunable: Vec<_> = too_old.chain(unfinished).collect();
    prunable.sort_by_key(|it| (it.was_tried, it.created_at, it.id));
    prunable.into_iter().map(|it| it.id).collect()
}

/// What the flow that ends now is followed by. It has made a snapshot, which counts as good, or deletes
/// one, which does not count any more. Retention that cannot be decided now is decided after the next
/// snapshot; a backup is not lost for it.
pub(crate) async fn next(cx: &FlowContext, deleted: Option<SnapshotId>) -> Option<Prune> {
    match decide(cx, deleted).await {
        Ok(next) => {
            let snapshot_id = next?;
            info!(%snapshot_id, "retention deletes a snapshot");
            // Derived: a repeated step asks for the same flow.
            let name = format!("retention {snapshot_id}");
            let flow_id = Uuid::new_v5(cx.claim().flow_id.as_uuid(), name.as_bytes());
            Some(Prune {
                snapshot_id,
                flow_id: FlowId::from_uuid(flow_id),
            })
        }
        Err(failure) => {
            warn!(
                reason = failure.operator_message,
                "retention waits for the next snapshot"
            );
            None
        }
    }
}

async fn decide(
    cx: &FlowContext,
    deleted: Option<SnapshotId>,
) -> Result<Option<SnapshotId>, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    let workload = cx.db().workload_fetch(workload_id).await?;
    let schedule: JobSchedule = serde_json::from_value(workload.schedule)
        .map_err(|e| StepFailure::because("The workload's schedule cannot be read", &e))?;
    let filter = SnapshotFilter {
        workload_id: Some(workload_id),
        ..SnapshotFilter::default()
    };
    let mut candidates = Vec::new();
    for snapshot in cx.db().snapshot_list(filter).await? {
        if Some(snapshot.id) == deleted {
            continue;
        }
        let mut candidate = Candidate::of(&snapshot);
        if let FlowRequest::SnapshotCreate { snapshot_id, .. } = cx.claim().request
            && snapshot_id == snapshot.id
        {
            candidate.standing = Standing::Good;
        }
        candidates.push(candidate);
    }
    let prunable = prunable(&candidates, schedule.retention, Utc::now());
    Ok(prunable.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One snapshot a day, the oldest first, the newest of today: `g` good, `u` in use, `h` half deleted,
    /// `b` bad, `t` good with a failed attempt. Gives the numbers of those that go.
    fn goes(past: &str, retention: Retention) -> Vec<usize> {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let candidates: Vec<_> = past
            .char_indices()
            .map(|(number, word)| {
                let age = i64::try_from(past.len() - 1 - number).unwrap();
                Candidate {
                    id: SnapshotId::random(),
                    created_at: now - TimeDelta::days(age),
                    standing: match word {
                        'g' | 't' => Standing::Good,
                        'u' => Standing::InUse,
                        'h' => Standing::HalfDeleted,
                        _ => Standing::Bad,
                    },
                    was_tried: matches!(word, 't' | 'h'),
                }
            })
            .collect();
        let place = |id| candidates.iter().position(|it| it.id == id).unwrap();
        let prunable = prunable(&candidates, retention, now);
        prunable.into_iter().map(place).collect()
    }

    #[test]
    fn by_number_the_oldest_go_and_that_many_stay() {
        for (past, count, gone) in [
            ("", 2, vec![]),
            ("gg", 2, vec![]),
            ("ggg", 2, vec![0]),
            ("ggggg", 2, vec![0, 1, 2]),
            ("g", 1, vec![]),
            ("gg", 1, vec![0]),
        ] {
            assert_eq!(
                goes(past, Retention::Snapshots(count)),
                gone,
                "{past} {count}"
            );
        }
    }

    #[test]
    fn by_age_what_is_older_goes() {
        for (past, days, gone) in [
            ("gggg", 3, vec![]),
            ("gggg", 2, vec![0]),
            ("gggg", 1, vec![0, 1]),
        ] {
            assert_eq!(goes(past, Retention::Days(days)), gone, "{past} {days}");
        }
    }

    #[test]
    fn the_newest_good_one_stays_however_old_it_is() {
        assert_eq!(goes("gbbbbb", Retention::Days(1)), Vec::<usize>::new());
        assert_eq!(goes("ggbbbb", Retention::Days(1)), [0]);
        assert_eq!(goes("gbb", Retention::Snapshots(1)), Vec::<usize>::new());
    }

    #[test]
    fn what_is_no_backup_neither_counts_nor_goes() {
        assert_eq!(goes("gbgbg", Retention::Snapshots(3)), Vec::<usize>::new());
        assert_eq!(goes("gbgbg", Retention::Snapshots(2)), [0]);
    }

    #[test]
    fn what_is_in_use_counts_and_stays_until_the_next_time() {
        assert_eq!(goes("uggg", Retention::Snapshots(3)), Vec::<usize>::new());
        assert_eq!(goes("uggg", Retention::Snapshots(2)), [1]);
    }

    #[test]
    fn a_deletion_that_failed_is_tried_again_after_the_others() {
        assert_eq!(goes("hgg", Retention::Snapshots(2)), [0]);
        assert_eq!(goes("htggg", Retention::Snapshots(2)), [2, 0, 1]);
    }
}
