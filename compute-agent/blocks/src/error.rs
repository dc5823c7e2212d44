//! What every call of this crate fails with: a kind to act on, what was being done, and the cause.

use std::error::Error;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The disk (image, file, pool, export) does not exist.
    NotFound,
    /// The disk exists, the named snapshot of it does not.
    SnapshotNotFound,
    /// The storage refused our identity or our rights.
    Denied,
    /// The storage cannot be reached or went away. Trying again may help.
    Unavailable,
    /// No answer within the limit of the settings. Trying again may help.
    Timeout,
    /// No room is left where bytes should go.
    NoSpace,
    /// The request itself is wrong: out of the disk, misaligned, a name that cannot be.
    Invalid,
    /// The peer said something that its protocol does not allow.
    Protocol,
    /// This host lacks a program, a configuration file or a usable directory.
    Setup,
    /// The storage reported an input or output error.
    Io,
}

impl ErrorKind {
    /// True when the same call may succeed later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }

    pub(crate) fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => Self::NotFound,
            Io::PermissionDenied => Self::Denied,
            Io::TimedOut | Io::WouldBlock => Self::Timeout,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Self::NoSpace,
            Io::BrokenPipe
            | Io::ConnectionReset
            | Io::ConnectionRefused
            | Io::ConnectionAborted
            | Io::NotConnected
            | Io::UnexpectedEof => Self::Unavailable,
            Io::InvalidInput => Self::Invalid,
            _ => Self::Io,
        }
    }
}

/// A failure of this crate. `Display` says what was being done; the cause is its source.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct BlocksError {
    kind: ErrorKind,
    doing: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BlocksError {
    /// A failure without a cause of its own.
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            source: None,
        }
    }

    /// A failure with its cause.
    pub fn caused(
        kind: ErrorKind,
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            doing: doing.into(),
            source: Some(source.into()),
        }
    }

    pub(crate) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::caused(ErrorKind::of_io(&source), doing, source)
    }

    /// What to match on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
