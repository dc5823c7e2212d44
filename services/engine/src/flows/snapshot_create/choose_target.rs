//! Where a chain begins. It stays there: images that build on each other are on one target.

use std::collections::BTreeSet;

use agent_contract::HostStatus;
use agent_target::TargetError;
use services_foundation::error_chain::ErrorChain;
use services_types::Topology;
use tracing::{info, warn};

use crate::context::FlowContext;
use crate::hosts;
use crate::runner::StepFailure;

/// A target that a full snapshot could go to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    id: String,
    /// `None`: it does not know, and takes what comes.
    free_bytes: Option<u64>,
    /// Hosts with disks of the workload that cannot write to it.
    unable_hosts: usize,
}

/// Has the flow work with the target that a full snapshot of these servers goes to.
pub(super) async fn choose_target(cx: &FlowContext, of: &Topology) -> Result<(), StepFailure> {
    let targets = &cx.services().targets;
    if targets.ids().len() == 1 {
        cx.use_target(targets.default_id());
        return Ok(());
    }
    let known = hosts::all(cx).await?;
    let needed: BTreeSet<_> = of.servers.iter().map(|it| it.host.as_str()).collect();
    let mut candidates = Vec::new();
    for id in targets.ids() {
        match free_bytes(cx, id).await {
            Ok(free_bytes) => candidates.push(Candidate {
                id: id.to_owned(),
                free_bytes,
                unable_hosts: unable(&known, &needed, id),
            }),
            Err(cause) => warn!(
                target_id = id,
                cause, "no full snapshot begins on this target"
            ),
        }
    }
    let chosen = choose(&candidates).unwrap_or(targets.default_id());
    info!(
        target_id = chosen,
        ?candidates,
        "target chosen for a full snapshot"
    );
    cx.use_target(chosen);
    Ok(())
}

/// The most free bytes of those that the most hosts can write to; none if none can be written to.
fn choose(candidates: &[Candidate]) -> Option<&str> {
    let unable = candidates.iter().map(|it| it.unable_hosts).min()?;
    let able = candidates.iter().filter(|it| it.unable_hosts == unable);
    let largest = able.max_by_key(|it| (it.free_bytes.unwrap_or(u64::MAX), &it.id));
    largest.map(|it| it.id.as_str())
}

fn unable(known: &[HostStatus], needed: &BTreeSet<&str>, target: &str) -> usize {
    let is_able = |host: &&&str| {
        let status = known.iter().find(|it| it.host == **host);
        status.is_some_and(|it| it.is_alive && it.targets.iter().any(|id| id == target))
    };
    needed.iter().filter(|host| !is_able(host)).count()
}

async fn free_bytes(cx: &FlowContext, id: &str) -> Result<Option<u64>, String> {
    let Some(target) = cx.services().targets.get(id).cloned() else {
        return Err("it is not configured".to_owned());
    };
    let asked = tokio::task::spawn_blocking(move || {
        target.check_writable()?;
        Ok::<_, TargetError>(target.capacity()?.map(|it| it.free_bytes))
    });
    match asked.await {
        Ok(answer) => answer.map_err(|error| ErrorChain(&error).to_string()),
        Err(error) => Err(ErrorChain(&error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, free_bytes: impl Into<Option<u64>>, unable_hosts: usize) -> Candidate {
        Candidate {
            id: id.to_owned(),
            free_bytes: free_bytes.into(),
            unable_hosts,
        }
    }

    #[test]
    fn a_full_snapshot_goes_where_most_is_free_and_all_hosts_can_write() {
        for (candidates, chosen) in [
            (vec![], None),
            (vec![candidate("a", 5, 0)], Some("a")),
            (vec![candidate("a", 5, 0), candidate("b", 9, 0)], Some("b")),
            (vec![candidate("a", 5, 0), candidate("b", 9, 1)], Some("a")),
            (vec![candidate("a", 5, 2), candidate("b", 4, 1)], Some("b")),
            (
                vec![candidate("a", 5, 0), candidate("b", None, 0)],
                Some("b"),
            ),
        ] {
            assert_eq!(choose(&candidates), chosen, "{candidates:?}");
        }
    }

    #[test]
    fn hosts_that_are_dead_or_unknown_cannot_write() {
        let host = |name: &str, is_alive| HostStatus {
            host: name.to_owned(),
            version: "1".to_owned(),
            is_alive,
            last_heard_at: chrono::Utc::now(),
            targets: vec!["t".to_owned()],
            active_transfers: 0,
        };
        let known = [host("a", true), host("b", false)];
        assert_eq!(unable(&known, &BTreeSet::from(["a"]), "t"), 0);
        assert_eq!(unable(&known, &BTreeSet::from(["a", "b", "c"]), "t"), 2);
        assert_eq!(unable(&known, &BTreeSet::from(["a"]), "u"), 1);
    }
}
