//! What can be asked under `/v2`; `agent-contract` has the table.

pub(crate) mod connection;
pub(crate) mod freeze;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod point;
pub(crate) mod server;
pub(crate) mod transfer;
pub(crate) mod version;

use agent_contract::{Answer, FreezeOutcome, Question, Refusal, RefusalKind, TransferStatus};

use crate::Hosts;
use crate::refused::Refused;

/// A host's name becomes part of a routing key: letters, digits, `.`, `-` and `_`.
pub(crate) fn checked_host(host: &str) -> Result<&str, Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || host.len() > 200 || !host.chars().all(fits) {
        return Err(Refused::invalid("this is no name of a host"));
    }
    Ok(host)
}

async fn ask(hosts: &dyn Hosts, host: &str, question: Question) -> Result<Answer, Refused> {
    match hosts.ask(checked_host(host)?, &question).await? {
        Answer::Refused(refusal) => Err(refusal.into()),
        answer => Ok(answer),
    }
}

pub(crate) async fn ask_transfer(
    hosts: &dyn Hosts,
    host: &str,
    question: Question,
) -> Result<TransferStatus, Refused> {
    match ask(hosts, host, question).await? {
        Answer::Transfer(status) => Ok(status),
        _ => Err(another_answer(host)),
    }
}

pub(crate) async fn ask_freeze(
    hosts: &dyn Hosts,
    host: &str,
    question: Question,
) -> Result<FreezeOutcome, Refused> {
    match ask(hosts, host, question).await? {
        Answer::Freeze(outcome) => Ok(outcome),
        _ => Err(another_answer(host)),
    }
}

pub(crate) async fn ask_until_done(
    hosts: &dyn Hosts,
    host: &str,
    question: Question,
) -> Result<(), Refused> {
    match ask(hosts, host, question).await? {
        Answer::Done => Ok(()),
        _ => Err(another_answer(host)),
    }
}

fn another_answer(host: &str) -> Refused {
    let message = format!("the datamover on {host} answered another question");
    Refused(Refusal::new(RefusalKind::Internal, message))
}
