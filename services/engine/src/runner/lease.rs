//! The engine's hold on one flow. A claim is good until its lease runs out; from then on another
//! engine may have taken the flow over, and this one must not touch anything more (architecture D10).
//!
//! The clock is the monotonic one, which runs on while the process is stopped: an engine that wakes
//! after a SIGSTOP finds its lease gone before it does anything.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How much of a lease is left unused, for a request that is on its way when the lease runs out.
const MARGIN: Duration = Duration::from_secs(2);

/// The hold on one flow, shared by all of its steps.
#[derive(Debug)]
pub struct Lease {
    good_until: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    /// A lease of this length, counted from before the claim was asked for.
    pub(crate) fn new(asked_at: Instant, length: Duration) -> Self {
        Self {
            good_until: Mutex::new(Self::end(asked_at, length)),
            lost: CancellationToken::new(),
        }
    }

    fn end(asked_at: Instant, length: Duration) -> Instant {
        asked_at + length.saturating_sub(MARGIN.min(length / 4))
    }

    /// The database granted a further `length` to a renewal that was asked for at `asked_at`.
    pub(crate) fn renewed(&self, asked_at: Instant, length: Duration) {
        *self
            .good_until
            .lock()
            .unwrap_or_else(|held| held.into_inner()) = Self::end(asked_at, length);
    }

    /// Gives the hold up at once: the database says that someone else has the flow.
    pub(crate) fn lose(&self) {
        self.lost.cancel();
    }

    /// Until when the hold is good as far as this process knows.
    pub(crate) fn good_until(&self) -> Instant {
        *self
            .good_until
            .lock()
            .unwrap_or_else(|held| held.into_inner())
    }

    /// Resolves when the hold is lost.
    pub(crate) async fn lost(&self) {
        loop {
            let until = self.good_until();
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = tokio::time::sleep_until(until) => {
                    if self.good_until() <= Instant::now() {
                        self.lost.cancel();
                        return;
                    }
                }
            }
        }
    }

    /// Returns at once while the hold is good. Never returns once it is lost: the flow's thread is on
    /// its way out then, and whoever waits here goes with it.
    pub(crate) async fn hold(&self) {
        if self.lost.is_cancelled() || self.good_until() <= Instant::now() {
            self.lost.cancel();
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_renewed_in_time_is_kept() {
        let lease = Lease::new(Instant::now(), LENGTH);
        tokio::time::advance(Duration::from_secs(20)).await;
        lease.renewed(Instant::now(), LENGTH);
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::timeout(Duration::ZERO, lease.hold())
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn after_its_end_nothing_goes_on() {
        let lease = Lease::new(Instant::now(), LENGTH);
        tokio::time::advance(LENGTH).await;
        let went_on = tokio::time::timeout(Duration::from_secs(3600), lease.hold()).await;
        assert!(went_on.is_err());
        lease.lost().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lost_to_another_engine_cannot_be_used_for_its_remaining_time() {
        let lease = Lease::new(Instant::now(), LENGTH);
        lease.lose();
        let went_on = tokio::time::timeout(Duration::from_secs(1), lease.hold()).await;
        assert!(went_on.is_err());
    }
}
