//! What the worker that carries a transfer out shares with those who ask about it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent_contract::TransferProgress;

const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Why a worker ends before the transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Interrupted {
    /// The program ends: keep what there is.
    #[error("the datamover is stopping")]
    Stopping,
    /// Nobody wants it any more: drop what there is.
    #[error("the transfer is cancelled")]
    Cancelled,
}

#[derive(Default)]
pub(crate) struct Ticket {
    intent: AtomicU8,
    total_bytes: AtomicU64,
    done_bytes: AtomicU64,
    read_since_start_bytes: AtomicU64,
    rate: Mutex<Rate>,
}

#[derive(Default)]
struct Rate {
    began: Option<(Instant, u64)>,
    bytes_per_second: u64,
}

impl Ticket {
    /// Goes on counting where the journal says.
    pub(crate) fn of(progress: TransferProgress) -> Self {
        Self {
            total_bytes: progress.total_bytes.into(),
            done_bytes: progress.done_bytes.into(),
            ..Self::default()
        }
    }

    /// Tells the worker to end; a cancellation is not taken back by a stop.
    pub(crate) fn interrupt(&self, why: Interrupted) {
        let code = match why {
            Interrupted::Stopping => 1,
            Interrupted::Cancelled => 2,
        };
        self.intent.fetch_max(code, Ordering::SeqCst);
    }

    /// To be asked between any two pieces of work.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        match self.intent.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(Interrupted::Stopping),
            _ => Err(Interrupted::Cancelled),
        }
    }

    pub(crate) fn set_total(&self, bytes: u64) {
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_done(&self, bytes: u64) {
        self.done_bytes.store(bytes, Ordering::Relaxed);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (began, began_bytes) = *rate.began.get_or_insert((now, bytes));
        let elapsed = now.duration_since(began);
        if elapsed >= RATE_WINDOW {
            let millis = u64::try_from(elapsed.as_millis())
                .unwrap_or(u64::MAX)
                .max(1);
            rate.bytes_per_second = bytes.saturating_sub(began_bytes).saturating_mul(1000) / millis;
            rate.began = Some((now, bytes));
        }
    }

    pub(crate) fn has_read(&self, bytes: u64) {
        self.read_since_start_bytes
            .fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> TransferProgress {
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        TransferProgress {
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            done_bytes: self.done_bytes.load(Ordering::Relaxed),
            read_since_start_bytes: self.read_since_start_bytes.load(Ordering::Relaxed),
            bytes_per_second: rate.bytes_per_second,
        }
    }
}
