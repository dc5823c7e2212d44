//! What can go wrong with an NBD server, always with the operation it went wrong in.

use std::{io, time::Duration};

use super::protocol::Operation;
use crate::{BlocksError, ErrorKind};

/// A failure of an NBD connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NbdError {
    /// The socket does not take us.
    #[error("connect to the NBD server at {address}")]
    Connect {
        /// The socket's path, or host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection ended or broke during the handshake.
    #[error("agree with the NBD server on {step}")]
    Handshake {
        /// What was being negotiated.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The server said no during the handshake.
    #[error("the NBD server refused {step}: {reason}")]
    Refused {
        /// What was asked for.
        step: &'static str,
        /// What it says, or the name of its error.
        reason: String,
        /// Our reading of it.
        kind: ErrorKind,
    },
    /// The server broke the protocol; the connection is given up.
    #[error("the NBD server broke the protocol ({during}): {problem}")]
    Protocol {
        /// What we were doing.
        during: String,
        /// What was wrong.
        problem: String,
    },
    /// The connection ended, broke or was too slow.
    #[error("lost the NBD server while waiting to {operation}")]
    Lost {
        /// What we waited for; it may or may not have happened.
        operation: Operation,
        /// Why.
        source: io::Error,
    },
    /// No answer in time; the connection is given up.
    #[error("the NBD server did not {operation} within {limit:?}")]
    Timeout {
        /// What we waited for; it may or may not have happened.
        operation: Operation,
        /// The limit that passed.
        limit: Duration,
    },
    /// The server reports that one operation failed; the connection goes on.
    #[error(
        "the NBD server failed to {operation}: errno {errno}{}{message}",
        separator(message)
    )]
    Failed {
        /// What was asked for.
        operation: Operation,
        /// The protocol's error number (those of Linux).
        errno: u32,
        /// The server's words, if any.
        message: String,
    },
    /// We refuse to ask for this.
    #[error("cannot {operation}: {problem}")]
    Invalid {
        /// What was asked for.
        operation: Operation,
        /// Why not.
        problem: String,
    },
    /// An earlier failure ended this connection.
    #[error("cannot {operation}: the NBD connection failed before")]
    GivenUp {
        /// What was asked for.
        operation: Operation,
    },
}

fn separator(message: &str) -> &'static str {
    if message.is_empty() { "" } else { ", " }
}

impl NbdError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorKind::Unavailable,
                _ => ErrorKind::of_io(source),
            },
            Self::Handshake { source, .. } | Self::Lost { source, .. } => ErrorKind::of_io(source),
            Self::Refused { kind, .. } => *kind,
            Self::Protocol { .. } => ErrorKind::Protocol,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Failed { errno, .. } => kind_of_errno(*errno),
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::GivenUp { .. } => ErrorKind::Unavailable,
        }
    }

    pub(crate) fn while_doing(self, doing: impl Into<String>) -> BlocksError {
        BlocksError::caused(self.kind(), doing, self)
    }
}

fn kind_of_errno(errno: u32) -> ErrorKind {
    match errno {
        1 | 13 => ErrorKind::Denied,
        22 | 75 | 95 => ErrorKind::Invalid,
        28 => ErrorKind::NoSpace,
        108 => ErrorKind::Unavailable,
        110 => ErrorKind::Timeout,
        _ => ErrorKind::Io,
    }
}

/// A failure while bytes of the peer are taken in; the connection adds what it waited for.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Protocol(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    pub(super) fn protocol<T>(problem: impl Into<String>) -> Result<T, Self> {
        Err(Self::Protocol(problem.into()))
    }
}
