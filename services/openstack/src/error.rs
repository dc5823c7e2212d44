//! What can go wrong in a call to the cloud, by what the caller can do about it.

use std::error::Error as StdError;

/// What the caller can do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudErrorKind {
    /// The thing is not there (404).
    NotFound,
    /// The state of the thing forbids it now (409), or its name or address is taken.
    Conflict,
    /// A quota is used up (413, or 403 where the service says so).
    OverQuota,
    /// The identity may not do this (403).
    Forbidden,
    /// The token, trust or password is not accepted (401), also after a new log-in.
    Unauthorized,
    /// The service calls the request wrong (400): ours to mend.
    Invalid,
    /// It may work later: no answer, cut connection, 429, 5xx.
    Transient,
    /// An answer that cannot be understood, a service missing from the catalog.
    Broken,
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CloudError {
    kind: CloudErrorKind,
    operation: String,
    message: String,
    request_id: Option<String>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl CloudError {
    /// `operation` says what was being done to what (`delete volume 4f..`), `message` what the service said.
    pub fn new(
        kind: CloudErrorKind,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            operation: operation.into(),
            message: message.into(),
            request_id: None,
            source: None,
        }
    }

    /// The service's own id of the request, for its operator's logs.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.request_id = request_id;
        self
    }

    /// What it came from.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> CloudErrorKind {
        self.kind
    }

    /// The service's own id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The service's own words, without the operation.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == CloudErrorKind::NotFound
    }

    /// It may work later.
    pub fn is_transient(&self) -> bool {
        self.kind == CloudErrorKind::Transient
    }
}

/// Deleting what is gone already is success.
pub fn gone_is_fine(result: Result<(), CloudError>) -> Result<(), CloudError> {
    if_found(result).map(|_| ())
}

/// What was fetched; none where it is not there.
pub fn if_found<T>(result: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
