//! Why a command ended without success, and the exit status that says so to a script.

use std::io;

use crate::{api, output, session};

/// How a command failed. Every variant has its own exit status, see [`CliError::exit_code`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line was understood, but what it asks for makes no sense.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Login(#[from] session::LoginError),
    #[error(transparent)]
    Api(#[from] api::ApiError),
    #[error(transparent)]
    Output(#[from] output::OutputError),
    /// What was asked for was begun, and failed.
    #[error("{0}")]
    Failed(String),
    /// `--timeout` has passed; the job itself goes on.
    #[error("{0}")]
    TimedOut(String),
    /// Ctrl-C while waiting; the job itself goes on.
    #[error("{0}")]
    Interrupted(String),
    #[error("could not start")]
    Runtime(#[source] io::Error),
}

impl CliError {
    /// The exit status: the table that `workloadmgr --help` shows.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Runtime(_) => 1,
            Self::Usage(_) => 2,
            Self::Output(error) => error.exit_code(),
            Self::Api(error) => error.exit_code(),
            Self::Login(_) => 3,
            Self::TimedOut(_) => 4,
            Self::Interrupted(_) => 130,
        }
    }

    /// Whether the reader of our output has gone, as in `workloadmgr ... | head -1`.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.is_broken_pipe())
    }
}
