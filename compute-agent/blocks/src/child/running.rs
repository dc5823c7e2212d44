//! A child that runs, and its end.

use std::{
    io::Write,
    process::{Child, ChildStdout, ExitStatus},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{ChildError, Invocation, spawner::spawn, stderr::Stderr};

/// How often a child that should end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Ends with its drop: asked first, killed when it does not listen.
#[derive(Debug)]
pub(crate) struct Running {
    invocation: Invocation,
    child: Child,
    stderr: Stderr,
    stderr_thread: Option<JoinHandle<()>>,
    stop_timeout: Duration,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts the program; what it prints is the caller's to read.
    pub(crate) fn start(
        invocation: Invocation,
        stop_timeout: Duration,
    ) -> Result<(Self, Option<ChildStdout>), ChildError> {
        let failed = |source| ChildError::Start {
            program: invocation.program.clone(),
            source,
        };
        let mut child = spawn(&invocation).map_err(failed)?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), invocation.input.clone()) {
            // On a thread of its own: a child that does not read must not hold us up.
            let writer = thread::Builder::new().name("child-stdin".to_owned());
            let started = writer.spawn(move || {
                if let Err(error) = pipe.write_all(&input) {
                    tracing::debug!(%error, "a child did not read what it was given");
                }
            });
            started.map_err(failed)?;
        }
        let stdout = child.stdout.take();
        let pipe = child.stderr.take();
        let mut running = Self {
            invocation,
            child,
            stderr: Stderr::default(),
            stderr_thread: None,
            stop_timeout,
            status: None,
        };
        if let Some(pipe) = pipe {
            let program = running.invocation.program.clone();
            let (stderr, thread) =
                Stderr::collect(pipe).map_err(|source| ChildError::Start { program, source })?;
            running.stderr = stderr;
            running.stderr_thread = Some(thread);
        }
        Ok((running, stdout))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it complained about so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Its exit status once it has ended.
    pub(crate) fn poll(&mut self) -> Result<Option<ExitStatus>, ChildError> {
        if self.status.is_none() {
            let program = &self.invocation.program;
            let failed = |source| ChildError::Wait {
                program: program.clone(),
                source,
            };
            self.status = self.child.try_wait().map_err(failed)?;
        }
        if self.status.is_some()
            && let Some(thread) = self.stderr_thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the reader of a child's error output failed");
        }
        Ok(self.status)
    }

    /// Its drop will not wait for it to end by itself.
    pub(crate) fn has_nothing_to_lose(&mut self) {
        self.stop_timeout = Duration::ZERO;
    }

    /// Waits for a good end.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<(), ChildError> {
        let program = self.invocation.program.clone();
        match self.wait(limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(ChildError::Failed {
                program,
                status,
                stderr: self.stderr(),
            }),
            None => Err(ChildError::TimedOut {
                program,
                limit,
                stderr: self.stderr(),
            }),
        }
    }

    fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ChildError> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.poll()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    fn end(&mut self) -> Result<(), ChildError> {
        // A child that was not waited for keeps its id, so no stranger is hit.
        if self.poll()?.is_some() {
            return Ok(());
        }
        if let Ok(id) = i32::try_from(self.id())
            && let Err(error) = kill(Pid::from_raw(id), Signal::SIGTERM)
        {
            tracing::debug!(%error, "a child process could not be asked to end");
        }
        if self.wait(self.stop_timeout)?.is_some() {
            return Ok(());
        }
        tracing::warn!(program = %self.invocation.program.display(), "killing a child that hangs");
        let failed = |source| ChildError::Wait {
            program: self.invocation.program.clone(),
            source,
        };
        self.child.kill().map_err(failed)?;
        self.status = Some(self.child.wait().map_err(failed)?);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "a child process could not be ended");
        }
    }
}
