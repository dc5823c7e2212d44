use std::io;

use agent_blocks::BlocksError;
use agent_target::{ErrorKind, TargetError};

use crate::journal::JournalError;
use crate::transfer::JobError;

/// Why a subcommand did not do what it was told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// Something named does not fit, told before anything was done.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Damaged(String),
    #[error("interrupted{0}")]
    Interrupted(&'static str),
    #[error("cannot {doing}")]
    Transfer {
        doing: String,
        #[source]
        source: JobError,
    },
    #[error("cannot {doing}")]
    Disk {
        doing: String,
        #[source]
        source: BlocksError,
    },
    #[error("cannot {doing}")]
    Target {
        doing: &'static str,
        #[source]
        source: TargetError,
    },
    #[error("cannot {doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write down where the work stands")]
    State(#[from] JournalError),
}

impl CommandError {
    /// As documented in docs/CLI.md.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Damaged(_) => 3,
            Self::Transfer { source, .. } if source.is_damage() => 3,
            Self::NotFound(_) => 4,
            Self::Target { source, .. } if source.kind == ErrorKind::NotFound => 4,
            Self::Disk { source, .. }
                if matches!(source.kind(), agent_blocks::ErrorKind::NotFound) =>
            {
                4
            }
            Self::Interrupted(_) => 130,
            _ => 1,
        }
    }
}

pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> CommandError {
    let doing = doing.into();
    move |source| CommandError::Io { doing, source }
}

pub(super) fn target(doing: &'static str) -> impl Fn(TargetError) -> CommandError + Copy {
    move |source| CommandError::Target { doing, source }
}

/// `is_resumable`: the same command goes on.
pub(super) fn transfer(
    doing: impl Into<String>,
    is_resumable: bool,
) -> impl FnOnce(JobError) -> CommandError {
    let doing = doing.into();
    move |source| match source {
        JobError::Interrupted(_) if is_resumable => {
            CommandError::Interrupted("; the same command goes on from here")
        }
        JobError::Interrupted(_) => CommandError::Interrupted(""),
        source => CommandError::Transfer { doing, source },
    }
}
