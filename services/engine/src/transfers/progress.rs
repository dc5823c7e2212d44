//! How far the transfers of a flow are, together.

use agent_contract::TransferProgress;

/// Sums over all transfers of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) bytes_per_second: u64,
}

impl Progress {
    pub(super) fn sum<'a>(all: impl Iterator<Item = &'a TransferProgress>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            done_bytes: sum.done_bytes + one.done_bytes,
            total_bytes: sum.total_bytes + one.total_bytes,
            bytes_per_second: sum.bytes_per_second + one.bytes_per_second,
        })
    }

    /// For the row of a snapshot or a restore: `Uploading 12 of 300 MiB, 80 MiB/s`.
    pub(crate) fn row(&self, doing: &str) -> services_db::Progress {
        services_db::Progress {
            percent: self.percent(),
            message: format!("{doing} {}", self.in_words()),
            size_bytes: self.total_bytes,
            uploaded_bytes: self.done_bytes,
        }
    }

    /// 0 to 99; 100 is for the publishing step to say.
    fn percent(&self) -> u8 {
        let percent = match self.total_bytes {
            0 => 0,
            total => self.done_bytes.saturating_mul(100) / total,
        };
        u8::try_from(percent).unwrap_or(u8::MAX).min(99)
    }

    fn in_words(&self) -> String {
        format!(
            "{} of {} MiB, {} MiB/s",
            self.done_bytes >> 20,
            self.total_bytes >> 20,
            self.bytes_per_second >> 20
        )
    }
}
