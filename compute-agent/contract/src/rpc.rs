//! The same questions on the message bus: what the datamover API sends to one host.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{FreezeOutcome, FreezeRequest, Refusal, TransferId, TransferRequest, TransferStatus};

/// A question to one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "args", rename_all = "snake_case")]
pub enum Question {
    /// Start, or find under way.
    TransferStart {
        /// Which.
        id: TransferId,
        /// What to do.
        request: TransferRequest,
    },
    /// How far it is.
    TransferShow {
        /// Which.
        id: TransferId,
    },
    /// Stop it and drop what it made.
    TransferCancel {
        /// Which.
        id: TransferId,
        /// Claim under which it is asked.
        epoch: i64,
    },
    /// Freeze a guest.
    FreezeStart {
        /// Which freeze.
        id: Uuid,
        /// What to freeze.
        request: FreezeRequest,
    },
    /// Thaw a guest.
    FreezeEnd {
        /// Which freeze.
        id: Uuid,
    },
}

/// What the host answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To the questions about transfers.
    Transfer(TransferStatus),
    /// To the questions about freezes.
    Freeze(FreezeOutcome),
    /// Not carried out.
    Refused(Refusal),
}
