//! From what went wrong to what the asker is told.

use agent_blocks::{BlocksError, ErrorKind};
use agent_contract::{Refusal, RefusalKind};
use services_foundation::error_chain::ErrorChain;

use crate::journal::JournalError;

pub(crate) fn by_storage(error: &BlocksError) -> Refusal {
    let kind = match error.kind() {
        ErrorKind::NotFound => RefusalKind::NotFound,
        ErrorKind::Invalid => RefusalKind::Invalid,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::NoSpace => {
            RefusalKind::Unreachable
        }
        _ => RefusalKind::Internal,
    };
    Refusal::new(kind, ErrorChain(error).to_string())
}

pub(crate) fn by_journal(error: &JournalError) -> Refusal {
    Refusal::new(RefusalKind::Internal, ErrorChain(error).to_string())
}

pub(crate) fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Invalid, why)
}

pub(crate) fn conflict(why: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Conflict, why)
}

/// Unless the claim is as new as the newest that was seen.
pub(crate) fn older_claim(seen: i64, asked: i64) -> Result<(), Refusal> {
    if asked >= seen {
        return Ok(());
    }
    let message = format!("epoch {seen} has taken over from {asked}");
    Err(Refusal::new(RefusalKind::Fenced, message))
}
