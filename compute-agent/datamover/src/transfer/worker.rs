use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use agent_contract::TransferState;
use services_foundation::error_chain::ErrorChain;

use super::entry::Entry;
use super::error::JobError;
use super::run::Run;
use super::table::Transfers;
use super::ticket::{Interrupted, Ticket};

/// Threads that carry out what is queued, until the table is stopped.
pub(crate) fn start(transfers: &Arc<Transfers>, workers: usize) -> Vec<JoinHandle<()>> {
    let work = |_| {
        let transfers = transfers.clone();
        std::thread::spawn(move || {
            while let Some((entry, ticket)) = transfers.take() {
                let state = carry_out(&transfers, &entry, &ticket);
                transfers.release(entry.id, state);
            }
        })
    };
    (0..workers).map(work).collect()
}

fn carry_out(transfers: &Transfers, entry: &Entry, ticket: &Ticket) -> TransferState {
    let id = entry.id;
    tracing::info!(transfer = %id, "begins");
    let host = &transfers.host;
    let save = |work| transfers.keep(id, work);
    let run = Run {
        id,
        host,
        ticket,
        work: entry.work.clone(),
        save: &save,
    };
    // A fault of ours in one transfer must not keep the others from being carried out.
    let result = catch_unwind(AssertUnwindSafe(|| run.carry_out(&entry.job)));
    match result.unwrap_or(Err(JobError::Broken)) {
        Ok(outcome) => {
            tracing::info!(transfer = %id, "is done");
            TransferState::Done(outcome)
        }
        Err(JobError::Interrupted(Interrupted::Stopping)) => {
            tracing::info!(transfer = %id, "is interrupted and goes on after a restart");
            TransferState::Queued
        }
        Err(JobError::Interrupted(Interrupted::Cancelled)) => cancelled(transfers, entry),
        Err(error) => {
            tracing::error!(transfer = %id, "failed: {}", ErrorChain(&error));
            error.to_state()
        }
    }
}

fn cancelled(transfers: &Transfers, entry: &Entry) -> TransferState {
    match transfers.host.drop_results(&entry.job) {
        Ok(()) => {
            tracing::info!(transfer = %entry.id, "is cancelled");
            TransferState::Cancelled
        }
        // Whoever cancels asks until it is gone.
        Err(error) => {
            tracing::error!(transfer = %entry.id, "leaves an image: {}", ErrorChain(&error));
            error.to_state()
        }
    }
}
