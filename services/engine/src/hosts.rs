//! Which datamover does what any of them could do.

use agent_contract::HostStatus;

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// Names of the hosts whose datamover lives and can reach the backup target.
pub(crate) async fn with_target(cx: &FlowContext) -> Result<Vec<String>, StepFailure> {
    let hosts =
        cx.datamover().await?.hosts().await.map_err(|e| {
            StepFailure::because("The datamover API cannot be asked who is there", &e)
        })?;
    Ok(able(hosts, &cx.settings().target_id))
}

/// Any host that can reach the backup target.
pub(crate) async fn any_with_target(cx: &FlowContext) -> Result<String, StepFailure> {
    choose(&with_target(cx).await?, "")
}

/// The first choice if it is able, else any that is.
pub(crate) fn choose(able: &[String], first_choice: &str) -> Result<String, StepFailure> {
    let preferred = able.iter().find(|host| *host == first_choice);
    preferred
        .or_else(|| able.first())
        .cloned()
        .ok_or_else(|| StepFailure::new("No datamover is alive that can reach the backup target"))
}

fn able(hosts: Vec<HostStatus>, target: &str) -> Vec<String> {
    let is_able = |host: &HostStatus| host.is_alive && host.targets.iter().any(|t| t == target);
    hosts
        .into_iter()
        .filter(is_able)
        .map(|host| host.host)
        .collect()
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
        assert_eq!(able(hosts, "t"), ["c"]);
        assert!(choose(&[], "a").is_err());
    }
}
