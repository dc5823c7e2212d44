use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ticket::{Interrupted, Ticket};

/// A stop is noticed this soon.
const SLICE: Duration = Duration::from_millis(100);

/// Keeps all transfers of the host together below a rate.
pub(crate) struct Throttle {
    bytes_per_second: Option<u64>,
    /// When what was let through so far will have been paid for.
    paid_at: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            paid_at: Mutex::default(),
        }
    }

    /// Whether there is a rate at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.bytes_per_second.is_some()
    }

    /// Returns when these bytes may go, or as soon as the transfer is interrupted.
    pub(crate) fn pass(&self, bytes: u64, ticket: &Ticket) -> Result<(), Interrupted> {
        ticket.check()?;
        let Some(rate) = self.bytes_per_second else {
            return Ok(());
        };
        let until = self.book(bytes, rate);
        loop {
            ticket.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    fn book(&self, bytes: u64, rate: u64) -> Instant {
        let cost = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
        let now = Instant::now();
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paid_at.filter(|at| *at > now).unwrap_or(now) + cost;
        *paid_at = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Throttle;
    use crate::transfer::ticket::{Interrupted, Ticket};

    #[test]
    fn bytes_take_their_time_and_a_stop_does_not_wait_for_it() {
        let (throttle, ticket) = (Throttle::new(Some(1000)), Ticket::default());
        let began = Instant::now();
        for _ in 0..4 {
            throttle.pass(50, &ticket).unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(200));
        ticket.interrupt(Interrupted::Stopping);
        assert_eq!(
            throttle.pass(1_000_000, &ticket),
            Err(Interrupted::Stopping)
        );
        assert!(began.elapsed() < Duration::from_secs(100));
    }
}
