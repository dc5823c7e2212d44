//! What can go wrong between us and Keystone, by what the caller can do about it.

use std::error::Error as StdError;

/// What the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeystoneErrorKind {
    /// No answer, a cut connection, 429 or 5xx: it may work later.
    Unreachable,
    /// Our password, or the token we were given, is not accepted.
    Unauthorized,
    /// Keystone is well and knows us, but the trust is gone, or its trustor is disabled or lost a
    /// role: the trustor has to log in and make a new one.
    TrustLost,
    /// The identity may not do this.
    Forbidden,
    /// It is not there.
    NotFound,
    /// An answer that cannot be understood, a service missing from the catalog, settings that
    /// cannot be: an operator has to mend something.
    Broken,
}

/// A failed log-in, look-up or request.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct KeystoneError {
    kind: KeystoneErrorKind,
    operation: String,
    message: String,
    is_unsent: bool,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl KeystoneError {
    pub(crate) fn new(
        kind: KeystoneErrorKind,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            operation: operation.into(),
            message: message.into(),
            is_unsent: false,
            source: None,
        }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn unsent(mut self) -> Self {
        self.is_unsent = true;
        self
    }

    /// A request that got no answer. The URL is left out of the source: it is in `operation`.
    pub(crate) fn no_answer(operation: impl Into<String>, source: reqwest::Error) -> Self {
        let is_unsent = source.is_connect() || source.is_builder();
        let message = if source.is_timeout() {
            "no answer in time"
        } else if source.is_connect() {
            "cannot connect"
        } else {
            "the connection was cut"
        };
        Self {
            is_unsent,
            ..Self::new(KeystoneErrorKind::Unreachable, operation, message)
        }
        .with_source(source.without_url())
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> KeystoneErrorKind {
        self.kind
    }

    /// The words of whoever refused, without the operation.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The request certainly did not reach the service: it is safe to send it again whatever it does.
    pub fn is_unsent(&self) -> bool {
        self.is_unsent
    }
}
