//! Running a short command to its end for what it prints.

use std::{
    io::{self, Read},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use super::{ChildError, Invocation, Running};

/// No list of snapshots is longer.
const MOST_BYTES: usize = 16 << 20;

/// What a successful run prints.
pub(crate) fn output(invocation: Invocation, limit: Duration) -> Result<Vec<u8>, ChildError> {
    let deadline = Instant::now() + limit;
    let program = invocation.program.clone();
    let wait_failed = |source| ChildError::Wait {
        program: program.clone(),
        source,
    };
    let (running, stdout) = Running::start(invocation, Duration::from_secs(1))?;
    let Some(stdout) = stdout else {
        return Ok(Vec::new());
    };
    let (sender, receiver) = channel();
    thread::Builder::new()
        .name("child-stdout".to_owned())
        .spawn(move || {
            let mut printed = Vec::new();
            let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
            let result = stdout.take(most + 1).read_to_end(&mut printed);
            if sender.send(result.map(|_| printed)).is_err() {
                tracing::debug!("nobody waits for what a child printed");
            }
        })
        .map_err(wait_failed)?;
    let printed = match receiver.recv_timeout(limit) {
        Ok(printed) => printed.map_err(wait_failed)?,
        Err(RecvTimeoutError::Timeout) => {
            let stderr = running.stderr();
            return Err(ChildError::TimedOut {
                program,
                limit,
                stderr,
            });
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(wait_failed(io::Error::other(
                "the reader of its output is gone",
            )));
        }
    };
    if printed.len() > MOST_BYTES {
        return Err(ChildError::TooMuch {
            program,
            limit: MOST_BYTES,
        });
    }
    // A tool that closed its output may still fail.
    running.finish(deadline.saturating_duration_since(Instant::now()))?;
    Ok(printed)
}
