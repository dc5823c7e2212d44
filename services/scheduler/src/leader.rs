//! Round after round, while this scheduler has the lease. One without it waits until the other gives
//! it back or is silent for the lease's length. A round is given up when the lease is lost.

use std::time::Duration;

use chrono::Utc;
use services_db::{Datastore, Error, Lease};
use services_foundation::error_chain::ErrorChain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::round::run_round;
use crate::settings::Settings;

/// Name of the lease, and of the program in the list of services.
const BINARY: &str = "backstay-scheduler";

/// Works until told to stop, then gives the lease back.
pub async fn lead(datastore: &Datastore, settings: &Settings, stop: &CancellationToken) {
    let mut lease = None;
    let mut ticks = tokio::time::interval(settings.poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        tick(datastore, settings, &mut lease).await;
    }
    if let Some(lease) = lease
        && let Err(error) = datastore.lease_release(&lease).await
    {
        tracing::warn!(error = %ErrorChain(&error), "The lease runs out by itself");
    }
}

/// One turn; whatever goes wrong is logged here, and the next turn tries again.
async fn tick(datastore: &Datastore, settings: &Settings, lease: &mut Option<Lease>) {
    if let Err(error) = datastore.service_heartbeat(&settings.host, BINARY).await {
        tracing::warn!(error = %ErrorChain(&error), "The heartbeat was not written");
    }
    let had_it = lease.is_some();
    *lease = match keep(datastore, settings, lease.take()).await {
        Ok(lease) => lease,
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "Who leads cannot be told");
            None
        }
    };
    match (had_it, lease.is_some()) {
        (false, true) => tracing::info!(holder = settings.holder, "This scheduler leads"),
        (true, false) => tracing::warn!(holder = settings.holder, "This scheduler leads no more"),
        _ => {}
    }
    if lease.is_some() {
        work(datastore, settings).await;
    }
}

async fn keep(
    datastore: &Datastore,
    settings: &Settings,
    lease: Option<Lease>,
) -> Result<Option<Lease>, Error> {
    let Some(lease) = lease else {
        return datastore
            .lease_acquire(BINARY, &settings.holder, settings.lease)
            .await;
    };
    match datastore.lease_renew(&lease, settings.lease).await {
        Ok(()) => Ok(Some(lease)),
        Err(Error::Fenced { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bounded by the lease: a round that takes longer is given up, so that it never overlaps the next
/// leader's for long. What it asked for stands.
async fn work(datastore: &Datastore, settings: &Settings) {
    let round = run_round(datastore, settings.target_id.as_deref(), Utc::now());
    match tokio::time::timeout(round_limit(settings.lease), round).await {
        Ok(Ok(round)) => tracing::debug!(?round, "Looked at all schedules"),
        Ok(Err(error)) => tracing::warn!(error = %ErrorChain(&error), "No look at the schedules"),
        Err(_) => tracing::warn!("Looking at all schedules took longer than the lease"),
    }
}

fn round_limit(lease: Duration) -> Duration {
    lease.mul_f64(0.8)
}
