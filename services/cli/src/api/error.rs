//! What can go wrong between a request and its answer.

use std::error::Error;

use crate::session::LoginError;

/// A request that brought no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The API refused or failed, in its own words.
    #[error("{message}")]
    Fault { status: u16, message: String },
    #[error("the API at {url} could not be asked")]
    Unreachable {
        url: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the login has ended")]
    Login(#[from] LoginError),
    #[error("{url} answered {status}, but not in JSON: is this the Backstay API?")]
    NotJson { status: u16, url: String },
    #[error("the answer of {url} lacks '{key}': is this the Backstay API?")]
    Lacks { key: &'static str, url: String },
    #[error("No {noun} with a name or ID of '{what}' exists.")]
    NotFound { noun: &'static str, what: String },
    #[error("More than one {noun} is named '{what}', say which by its ID: {ids}")]
    Ambiguous {
        noun: &'static str,
        what: String,
        ids: String,
    },
}

impl ApiError {
    /// 3 where no API was reached or its door was shut, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Fault { status: 401, .. }
            | Self::Unreachable { .. }
            | Self::Login(_)
            | Self::NotJson { .. }
            | Self::Lacks { .. } => 3,
            Self::Fault { .. } | Self::NotFound { .. } | Self::Ambiguous { .. } => 1,
        }
    }

    /// The thing asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Fault { status: 404, .. } | Self::NotFound { .. }
        )
    }

    /// It may be better the next time: while waiting, worth asking again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Fault { status, .. } | Self::NotJson { status, .. } => {
                matches!(status, 429 | 500..=599)
            }
            _ => false,
        }
    }
}
