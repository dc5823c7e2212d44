//! Decides which images go now, and which must stay for later incrementals.

use std::collections::{BTreeMap, BTreeSet};

use agent_format::ObjectName;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use services_db::SnapshotFilter;
use services_types::{SnapshotId, SnapshotStatus, WorkloadId};

use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// What a deletion removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Removal {
    /// Snapshots whose files go now, newest first: the one that was asked for, unless a later one
    /// builds on it, and those deleted before that were kept for it alone.
    pub(super) now: Vec<SnapshotFiles>,
    /// A later incremental builds on it.
    pub(super) is_kept_for_chain: bool,
}

/// What a snapshot has on the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotFiles {
    pub(super) snapshot_id: SnapshotId,
    pub(super) images: Vec<ObjectName>,
}

/// A snapshot as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    backing: Option<SnapshotId>,
    /// Its owner still has it.
    is_wanted: bool,
}

/// A snapshot as the database has it.
#[derive(Clone, Copy, Debug)]
struct Row {
    backing: Option<SnapshotId>,
    /// Its making or its deletion.
    has_failed: bool,
    is_wanted: bool,
}

/// Reads manifests and makes the plan. A snapshot without a manifest has nothing on the target that
/// is a backup; what a deletion or an undo that broke off has left in its folder goes.
#[derive(Debug)]
pub(super) struct PlanRemoval;

#[async_trait]
impl Step for PlanRemoval {
    const NAME: &'static str = "plan_removal";
    type Output = Removal;

    async fn run(&self, cx: &StepContext) -> Result<Removal, StepFailure> {
        let wanted_gone = snapshot_id(cx)?;
        let workload_id = cx.claim().request.workload_id();
        let links = links(cx, workload_id, wanted_gone).await?;
        let ids = removable(&links, wanted_gone);
        let is_kept_for_chain = ids.is_empty();
        let mut now = Vec::with_capacity(ids.len());
        for snapshot_id in ids {
            let images = images(cx, snapshot_id).await?;
            now.push(SnapshotFiles {
                snapshot_id,
                images,
            });
        }
        Ok(Removal {
            now,
            is_kept_for_chain,
        })
    }
}

/// All snapshots of the workload that have images on the target.
async fn links(
    cx: &StepContext,
    workload_id: WorkloadId,
    wanted_gone: SnapshotId,
) -> Result<BTreeMap<SnapshotId, Link>, StepFailure> {
    let filter = SnapshotFilter {
        workload_id: Some(workload_id),
        ..SnapshotFilter::default()
    };
    let mut rows = BTreeMap::new();
    for snapshot in cx.db().snapshot_list(filter).await? {
        let row = Row {
            backing: snapshot.backing_snapshot_id,
            has_failed: matches!(
                snapshot.status,
                SnapshotStatus::Error | SnapshotStatus::Cancelled
            ),
            is_wanted: snapshot.id != wanted_gone,
        };
        rows.insert(snapshot.id, row);
    }
    for kept in cx.db().snapshots_kept_for_chain(workload_id).await? {
        let row = Row {
            backing: kept.backing_snapshot_id,
            has_failed: false,
            is_wanted: false,
        };
        rows.insert(kept.id, row);
    }
    Ok(linked(&rows, wanted_gone))
}

/// Leaves out what snapshots that failed were to build on: they have taken their images back. But one
/// whose deletion failed is in error too, and may have later ones that build on it, and so on all that it
/// builds on itself.
fn linked(rows: &BTreeMap<SnapshotId, Row>, wanted_gone: SnapshotId) -> BTreeMap<SnapshotId, Link> {
    let mut in_chains = BTreeSet::from([wanted_gone]);
    for (id, _) in rows.iter().filter(|(_, row)| !row.has_failed) {
        let mut next = Some(*id);
        while let Some(id) = next.filter(|id| in_chains.insert(*id)) {
            next = rows.get(&id).and_then(|row| row.backing);
        }
    }
    let link = |(id, row): (&SnapshotId, &Row)| {
        let backing = row.backing.filter(|_| in_chains.contains(id));
        let is_wanted = row.is_wanted;
        (*id, Link { backing, is_wanted })
    };
    rows.iter().map(link).collect()
}

/// From `start` down the chain: snapshots that nobody wants and nobody builds on.
fn removable(links: &BTreeMap<SnapshotId, Link>, start: SnapshotId) -> Vec<SnapshotId> {
    let mut removable = Vec::new();
    let mut next = Some(start);
    while let Some(id) = next {
        let builds_on_it = |(other, link): (&SnapshotId, &Link)| {
            link.backing == Some(id) && !removable.contains(other)
        };
        let link = links.get(&id);
        let is_wanted = link.is_some_and(|link| link.is_wanted);
        if is_wanted || links.iter().any(builds_on_it) || removable.contains(&id) {
            break;
        }
        removable.push(id);
        next = link
            .and_then(|link| link.backing)
            .filter(|backing| links.contains_key(backing));
    }
    removable
}

async fn images(cx: &StepContext, snapshot_id: SnapshotId) -> Result<Vec<ObjectName>, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    let manifest = match target_files::read_manifest(cx, workload_id, snapshot_id).await {
        Ok(manifest) => manifest,
        Err(failure) if failure.is_missing_object => {
            return target_files::images_left(cx, workload_id, snapshot_id).await;
        }
        Err(failure) => return Err(failure),
    };
    Ok(manifest
        .disks
        .into_iter()
        .map(|disk| disk.image.name)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain: each entry builds on the one before it; `+` is wanted by its owner.
    fn chain(wanted: &str) -> (Vec<SnapshotId>, BTreeMap<SnapshotId, Link>) {
        let ids: Vec<_> = wanted.chars().map(|_| SnapshotId::random()).collect();
        let links = wanted
            .chars()
            .enumerate()
            .map(|(i, c)| {
                let backing = i.checked_sub(1).map(|before| ids[before]);
                (
                    ids[i],
                    Link {
                        backing,
                        is_wanted: c == '+',
                    },
                )
            })
            .collect();
        (ids, links)
    }

    #[test]
    fn the_newest_goes_with_the_deleted_ones_it_alone_kept() {
        let (ids, links) = chain("+---");
        assert_eq!(removable(&links, ids[3]), [ids[3], ids[2], ids[1]]);
    }

    #[test]
    fn one_that_a_later_incremental_builds_on_stays() {
        let (ids, links) = chain("+-+");
        assert_eq!(removable(&links, ids[1]), []);
    }

    /// What goes with the one at `gone`, of a chain as in [`chain`]; `!` is in error.
    fn removed(states: &str, gone: usize) -> Vec<usize> {
        let (ids, links) = chain(states);
        let row = |(id, state): (&SnapshotId, char)| {
            let row = Row {
                backing: links[id].backing,
                has_failed: state == '!',
                is_wanted: state != '-' && *id != ids[gone],
            };
            (*id, row)
        };
        let rows = ids.iter().zip(states.chars()).map(row).collect();
        let removed = removable(&linked(&rows, ids[gone]), ids[gone]).into_iter();
        removed
            .map(|id| ids.iter().position(|one| *one == id).unwrap())
            .collect()
    }

    #[test]
    fn what_failed_to_be_deleted_is_still_a_link_of_the_chain() {
        assert!(removed("+!!+", 0).is_empty());
        assert!(removed("+!!-+", 1).is_empty());
    }

    #[test]
    fn what_failed_to_be_made_keeps_nothing() {
        assert_eq!(removed("+!", 0), [0]);
    }

    #[test]
    fn a_deletion_that_failed_is_gone_on_with_down_the_chain() {
        assert_eq!(removed("--!", 2), [2, 1, 0]);
    }

    #[test]
    fn a_full_that_stands_alone_goes() {
        let (ids, links) = chain("-");
        assert_eq!(removable(&links, ids[0]), [ids[0]]);
    }
}
