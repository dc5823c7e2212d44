//! Child processes that do not outlive us, do not wait for ever, and whose last words are kept.
//!
//! A child asks the kernel for SIGTERM at the death of its parent (`setpriv --pdeathsig`, of
//! util-linux 2.33 and later; `prctl` by ourselves would be unsafe code). The kernel means the *thread*
//! that started it, so all are started by one thread that never ends ([`spawner`]). Without such a
//! `setpriv` children run unguarded, and a log line says so once.

mod output;
mod running;
mod spawner;
mod stderr;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

pub(crate) use output::output;
pub(crate) use running::Running;

/// How a child process failed us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("start {}", program.display())]
    Start {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("{} ended with {status}: {stderr}", program.display())]
    Failed {
        program: PathBuf,
        status: ExitStatus,
        stderr: String,
    },
    #[error("{} did not end within {limit:?}: {stderr}", program.display())]
    TimedOut {
        program: PathBuf,
        limit: Duration,
        stderr: String,
    },
    #[error("{} printed more than {limit} bytes", program.display())]
    TooMuch { program: PathBuf, limit: usize },
    #[error("wait for {}", program.display())]
    Wait {
        program: PathBuf,
        source: std::io::Error,
    },
}

/// A program and its arguments.
#[derive(Clone)]
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// What it reads from its standard input.
    pub(crate) input: Option<Vec<u8>>,
}

/// Without the input, which may hold secrets.
impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invocation")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Invocation {
    pub(crate) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            input: None,
        }
    }

    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn reading(mut self, input: Vec<u8>) -> Self {
        self.input = Some(input);
        self
    }

    pub(crate) fn pair(self, name: &str, value: impl Into<String>) -> Self {
        self.arg(name).arg(value)
    }
}
