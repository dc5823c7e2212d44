//! What can go wrong with a target: a kind to decide by, what was being done, and the cause.

use std::error::Error;
use std::{fmt, io};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The result of a call to a target.
pub type Result<T> = std::result::Result<T, TargetError>;

/// What a caller may decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// No space, or a quota is used up.
    Full,
    /// It can be read only.
    ReadOnly,
    /// It is not there now: not mounted, stale, unreachable.
    Unavailable,
    /// We may not.
    Denied,
    /// What is there is not what was written.
    Corrupt,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody doing something about it.
    pub fn is_transient(self) -> bool {
        self == Self::Unavailable
    }

    /// The kind of the target's error among `error` and its causes, to be asked of the errors of
    /// what reads and writes through a target; `Other` if there is none.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut link = Some(error);
        while let Some(error) = link {
            if let Some(error) = error.downcast_ref::<TargetError>() {
                return error.kind;
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.get_ref() {
                    // An error inside of an io::Error is not its source, but stands in for it.
                    Some(inner) => {
                        link = Some(inner);
                        continue;
                    }
                    None => return Self::from(error),
                }
            }
            link = error.source();
        }
        Self::Other
    }
}

impl From<&io::Error> for ErrorKind {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) => errno.into(),
            None => match error.kind() {
                io::ErrorKind::NotFound => Self::NotFound,
                io::ErrorKind::UnexpectedEof => Self::Corrupt,
                _ => Self::Other,
            },
        }
    }
}

impl From<Errno> for ErrorKind {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT => Self::NotFound,
            Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG => Self::Full,
            Errno::EROFS => Self::ReadOnly,
            Errno::EACCES | Errno::EPERM => Self::Denied,
            // Something other than what we make stands there, a symbolic link for example.
            Errno::ELOOP | Errno::ENOTDIR | Errno::EISDIR => Self::Corrupt,
            // What a share that has gone answers; a failing disk (EIO) looks the same from here.
            Errno::ESTALE
            | Errno::ENOTCONN
            | Errno::EIO
            | Errno::ETIMEDOUT
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::ECONNABORTED
            | Errno::EREMOTEIO
            | Errno::ESHUTDOWN => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is none",
            Self::Full => "the target is full",
            Self::ReadOnly => "the target is read-only",
            Self::Unavailable => "the target is not available",
            Self::Denied => "permission denied",
            Self::Corrupt => "what is stored is damaged",
            Self::Other => "the target failed",
        })
    }
}

/// An error of a target.
#[derive(Debug)]
pub struct TargetError {
    /// What to decide by.
    pub kind: ErrorKind,
    /// What was being done, such as `write image`.
    pub operation: &'static str,
    /// With what: an object's name, or where the target is.
    pub name: String,
    /// Why, if more is known than the kind.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl TargetError {
    /// An error of the operating system while doing `operation` with `name`.
    pub(crate) fn from_io(operation: &'static str, name: &str, error: io::Error) -> Self {
        let kind = ErrorKind::of(&error);
        Self {
            kind,
            operation,
            name: name.to_owned(),
            source: Some(Box::new(error)),
        }
    }

    /// An error that has no deeper cause than `why`.
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        name: &str,
        why: impl Into<String>,
    ) -> Self {
        let source = Some(Box::from(why.into()));
        Self {
            kind,
            operation,
            name: name.to_owned(),
            source,
        }
    }

    /// An error that its kind explains.
    pub(crate) fn bare(kind: ErrorKind, operation: &'static str, name: &str) -> Self {
        Self {
            kind,
            operation,
            name: name.to_owned(),
            source: None,
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.name, self.kind)
    }
}

impl Error for TargetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// For the traits of `agent-qcow2`, which speak of `io::Error`: it keeps its kind, and says what was
/// done with what.
pub(crate) fn annotated(operation: &'static str, name: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), TargetError::from_io(operation, name, error))
}

/// For the traits of `agent-qcow2`, which speak of `io::Error`.
impl From<TargetError> for io::Error {
    fn from(error: TargetError) -> Self {
        let kind = match error.kind {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Full => io::ErrorKind::StorageFull,
            ErrorKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Unavailable | ErrorKind::Other => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use agent_qcow2::WriteError;

    use super::*;

    #[test]
    fn the_kind_is_found_below_the_errors_of_who_used_the_target() {
        let full = io::Error::from_raw_os_error(Errno::ENOSPC as i32);
        let error = TargetError::from_io("write image", "w/a", full);
        assert_eq!(
            error.to_string(),
            "cannot write image w/a: the target is full"
        );
        let error = WriteError::Sink {
            offset: 7,
            source: error.into(),
        };
        assert_eq!(ErrorKind::of(&error), ErrorKind::Full);
    }

    #[test]
    fn a_plain_error_of_the_system_has_its_kind_too() {
        let stale = io::Error::from_raw_os_error(Errno::ESTALE as i32);
        assert_eq!(ErrorKind::of(&stale), ErrorKind::Unavailable);
        assert_eq!(ErrorKind::of(&io::Error::other("?")), ErrorKind::Other);
        assert_eq!(ErrorKind::of(&fmt::Error), ErrorKind::Other);
    }
}
