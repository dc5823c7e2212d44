//! Why a datamover, or the API before it, says no.

use serde::{Deserialize, Serialize};

/// What the caller can do about it; each stands for one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// 400: the request makes no sense here: unknown target, path outside the allowed folders.
    Invalid,
    /// 404: no such transfer, freeze or host.
    NotFound,
    /// 409: the id is in use for another job, or the server is frozen by someone else.
    Conflict,
    /// 412: a newer claim has been seen: the caller must stop.
    Fenced,
    /// 503: the host does not answer; try again.
    Unreachable,
    /// 500: a fault of the datamover's own.
    Internal,
}

impl RefusalKind {
    /// The HTTP status that stands for it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Fenced => 412,
            Self::Unreachable => 503,
            Self::Internal => 500,
        }
    }
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What the caller can do about it.
    pub kind: RefusalKind,
    /// For an operator.
    pub message: String,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}
