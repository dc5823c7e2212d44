//! Claims flows and runs them: new ones, and those of engines that died.
//!
//! ```text
//! claim (lease, epoch) ──> thread with its own runtime ──> steps, one after the other
//!    ^                           │ renews the lease           │ every event into the database first
//!    └── wakes on a timer        └── lease lost: all dropped  └── settled: rows at rest, flow ended
//! ```
//!
//! Promise: a step runs only under a good lease; what it records is refused by the database once a
//! newer claim exists. Steps may therefore run twice, never at the same time for long.

mod execution;
mod failure;
mod fault;
mod journal;
mod lease;
mod step;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use services_db::Stopped;
use services_foundation::error_chain::ErrorChain;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use failure::StepFailure;
pub use fault::{Effect, Fault};
pub use lease::Lease;
pub(crate) use step::{Step, StepContext};
pub(crate) use steps::Steps;

use crate::Services;

/// How often the engine looks for a flow when there was none.
const POLL: Duration = Duration::from_millis(500);

/// How a flow that failed is brought to rest.
#[derive(Debug)]
pub(crate) struct Settlement {
    /// Why it failed.
    pub(crate) failure: StepFailure,
    /// What an undo could not take back.
    pub(crate) left_behind: Option<String>,
}

impl Settlement {
    /// How it ended.
    pub(crate) fn stopped(&self) -> Stopped {
        if self.failure.is_cancelled {
            Stopped::Cancelled
        } else {
            Stopped::Failed
        }
    }

    /// Why it failed and what was left, for the row that the tenant reads.
    pub(crate) fn tenant_words(&self) -> String {
        match &self.left_behind {
            None => self.failure.tenant_message.clone(),
            Some(left) => format!(
                "{}. Not everything could be taken back, tell your administrator: {left}",
                self.failure.tenant_message.trim_end_matches('.')
            ),
        }
    }
}

/// Claims and runs flows until `stop`; returns when the last flow's thread has ended.
pub async fn run(services: Arc<Services>, stop: CancellationToken) {
    let workers = services.settings.workers;
    let free = Arc::new(Semaphore::new(workers));
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(permit) = next_worker(&free, &stop, &mut tick).await {
        let asked_at = Instant::now();
        let lease = services.settings.lease;
        match services
            .db
            .flow_claim_next(&services.settings.holder, lease)
            .await
        {
            Ok(Some(claim)) => {
                info!(flow_id = %claim.flow_id, kind = %claim.request.kind(), epoch = claim.epoch,
                    "flow claimed");
                let (services, stop) = (services.clone(), stop.clone());
                let name = format!("flow-{}", claim.flow_id);
                let spawned = std::thread::Builder::new().name(name).spawn(move || {
                    execution::run(services, claim, asked_at, stop);
                    drop(permit);
                });
                if let Err(error) = spawned {
                    warn!(%error, "no thread for a flow; its lease will run out");
                }
                tick.reset_immediately();
            }
            Ok(None) => {}
            Err(error) => warn!(cause = %ErrorChain(&error), "flows cannot be claimed"),
        }
    }
    // All permits back: every flow's thread has let go of its flow.
    let all = u32::try_from(workers).unwrap_or(u32::MAX);
    if free.acquire_many(all).await.is_err() {
        warn!("the pool of workers was closed");
    }
}

async fn next_worker(
    free: &Arc<Semaphore>,
    stop: &CancellationToken,
    tick: &mut tokio::time::Interval,
) -> Option<tokio::sync::OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        permit = async {
            tick.tick().await;
            free.clone().acquire_owned().await
        } => permit.ok(),
    }
}
