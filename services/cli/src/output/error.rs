//! Why a result could not be shown.

use std::error::Error;
use std::io;

/// A result that was there, but not printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("No recognized column names in {asked}. Recognized columns are {known}.")]
    UnknownColumns { asked: String, known: String },
    #[error("the result could not be put into this format")]
    Format {
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the result could not be written")]
    Write { source: io::Error },
}

impl OutputError {
    /// 2 for a column that does not exist, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownColumns { .. } => 2,
            Self::Format { .. } | Self::Write { .. } => 1,
        }
    }

    /// Whether the reader has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn format(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Format {
            source: Box::new(source),
        }
    }
}
