//! Which datamover does what any of them could do.

use std::time::Duration;

use agent_contract::{ClientError, HostStatus};
use tokio::time::Instant;

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// Datamovers tell of themselves every five seconds; a datamover API that has just been started knows
/// of nobody.
const FIRST_WORD: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// Names of the hosts whose datamover lives and can read the backup target, as far as is known: they
/// tell which targets they can write to. Where none can, the target may be full or read-only, and any
/// that lives is tried.
pub(crate) async fn readers(cx: &FlowContext) -> Result<Vec<String>, StepFailure> {
    Ok(able_to_read(all(cx).await?, &cx.target_id()))
}

/// Names of the hosts whose datamover lives and can write to the backup target.
pub(crate) async fn writers(cx: &FlowContext) -> Result<Vec<String>, StepFailure> {
    Ok(able(&all(cx).await?, &cx.target_id()))
}

/// All that were heard of; waits a while for the first word of any that lives.
pub(crate) async fn all(cx: &FlowContext) -> Result<Vec<HostStatus>, StepFailure> {
    let limit = Instant::now() + FIRST_WORD;
    loop {
        let hosts = cx.datamover().await?.hosts().await.map_err(unasked)?;
        if hosts.iter().any(|host| host.is_alive) || Instant::now() >= limit {
            return Ok(hosts);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn unasked(error: ClientError) -> StepFailure {
    StepFailure {
        is_transient: error.is_transient(),
        ..StepFailure::because("The datamover API cannot be asked who is there", &error)
    }
}

/// The first choice if it is able, else any that is.
pub(crate) fn choose(able: &[String], first_choice: &str) -> Result<String, StepFailure> {
    let preferred = able.iter().find(|host| *host == first_choice);
    preferred
        .or_else(|| able.first())
        .cloned()
        .ok_or_else(|| StepFailure::new("No datamover is alive that can reach the backup target"))
}

fn able_to_read(hosts: Vec<HostStatus>, target: &str) -> Vec<String> {
    let writers = able(&hosts, target);
    if !writers.is_empty() {
        return writers;
    }
    let alive = hosts.into_iter().filter(|host| host.is_alive);
    alive.map(|host| host.host).collect()
}

fn able(hosts: &[HostStatus], target: &str) -> Vec<String> {
    let is_able = |host: &&HostStatus| host.is_alive && host.targets.iter().any(|t| t == target);
    let able = hosts.iter().filter(is_able);
    able.map(|host| host.host.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, is_alive: bool, targets: &[&str]) -> HostStatus {
        HostStatus {
            host: name.to_owned(),
            version: "1".to_owned(),
            is_alive,
            last_heard_at: chrono::Utc::now(),
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            active_transfers: 0,
        }
    }

    #[test]
    fn the_host_that_served_the_server_goes_first() {
        let able = ["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(&able, "b"), Ok("b".to_owned()));
        assert_eq!(choose(&able, "z"), Ok("a".to_owned()));
    }

    #[test]
    fn a_host_that_is_dead_or_lacks_the_target_is_passed_over() {
        let hosts = vec![
            host("a", false, &["t"]),
            host("b", true, &["u"]),
            host("c", true, &["t"]),
        ];
        assert_eq!(able(&hosts, "t"), ["c"]);
        assert_eq!(able_to_read(hosts, "t"), ["c"]);
        assert!(choose(&[], "a").is_err());
    }

    #[test]
    fn where_none_can_write_to_the_target_any_that_lives_may_read_it() {
        let hosts = vec![host("a", false, &["t"]), host("b", true, &[])];
        assert_eq!(able(&hosts, "t"), Vec::<String>::new());
        assert_eq!(able_to_read(hosts, "t"), ["b"]);
    }
}
