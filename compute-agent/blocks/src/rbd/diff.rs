//! `rbd diff` as a stream.

use std::{
    ops::ControlFlow,
    process::ChildStdout,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use super::{RbdImage, command::told, json::parse_diff};
use crate::{
    BlocksError, ErrorKind, Extent, Settings,
    child::{ChildError, Running},
};

/// Extents that wait between the parser's thread and whoever pulls.
const WAITING: usize = 1024;

type Message = Result<Extent, serde_json::Error>;

/// The extents in the order of `rbd diff`. The last item is the failure, if there is one.
pub struct RbdDiff {
    doing: String,
    image: RbdImage,
    from_snapshot: Option<String>,
    settings: Settings,
    limit: Duration,
    size_bytes: u64,
    position: u64,
    state: Option<(Receiver<Message>, Running)>,
}

impl RbdImage {
    /// What is allocated at the snapshot, or what changed since an older one. Exact extents:
    /// `exists: false` is a range that was discarded.
    pub fn diff(
        &self,
        from_snapshot: Option<&str>,
        settings: &Settings,
    ) -> Result<RbdDiff, BlocksError> {
        let size_bytes = self.size_bytes(settings)?;
        let since = from_snapshot
            .map(|from| format!(" since {from}"))
            .unwrap_or_default();
        let doing = format!("ask rbd what {self} holds{since}");
        let mut invocation = self.invocation(&["diff"], settings);
        invocation.arguments.extend(self.snapshot_argument());
        invocation
            .arguments
            .extend(from_snapshot.map(|from| format!("--from-snap={from}")));
        let (running, stdout) = Running::start(invocation, Duration::from_secs(1))
            .map_err(|error| told(error, doing.clone()))?;
        let Some(stdout) = stdout else {
            return Err(BlocksError::new(ErrorKind::Setup, doing));
        };
        let (sender, receiver) = sync_channel(WAITING);
        thread::Builder::new()
            .name("rbd-diff".to_owned())
            .spawn(move || parse(stdout, &sender))
            .map_err(|error| BlocksError::io(doing.clone(), error))?;
        let limit = settings.diff_timeout;
        let state = Some((receiver, running));
        Ok(RbdDiff {
            doing,
            image: self.clone(),
            from_snapshot: from_snapshot.map(str::to_owned),
            settings: settings.clone(),
            limit,
            size_bytes,
            position: 0,
            state,
        })
    }
}

/// Ends with the list, with the child, or when nobody pulls any more.
fn parse(stdout: ChildStdout, sender: &SyncSender<Message>) {
    let result = parse_diff(std::io::BufReader::new(stdout), |extent| {
        match sender.send(Ok(extent)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    if let Err(error) = result
        && sender.send(Err(error)).is_err()
    {
        tracing::debug!("nobody waits for the rest of an rbd diff");
    }
}

impl RbdDiff {
    fn end(&mut self, parsed: Option<serde_json::Error>) -> Result<(), BlocksError> {
        let Some((_, running)) = self.state.take() else {
            return Ok(());
        };
        // Why it failed matters more than that its list is torn.
        running
            .finish(self.limit)
            .map_err(|error| told(error, self.doing.clone()))?;
        match parsed {
            Some(error) => Err(BlocksError::caused(
                ErrorKind::Protocol,
                self.doing.clone(),
                error,
            )),
            None => self.expect_older_snapshot(),
        }
    }

    /// A list that was made while its older snapshot was removed may lack what was discarded since.
    fn expect_older_snapshot(&self) -> Result<(), BlocksError> {
        match &self.from_snapshot {
            Some(from) if !self.image.has_snapshot(from, &self.settings)? => {
                let doing = format!("{}: it is gone meanwhile", self.doing);
                Err(BlocksError::new(ErrorKind::SnapshotNotFound, doing))
            }
            _ => Ok(()),
        }
    }

    fn checked(&mut self, extent: Extent) -> Result<Option<Extent>, BlocksError> {
        if extent.offset < self.position {
            let doing = format!("{}: {extent} comes after {}", self.doing, self.position);
            return Err(BlocksError::new(ErrorKind::Protocol, doing));
        }
        self.position = extent.end();
        Ok(extent.between(extent.offset, extent.end().min(self.size_bytes)))
    }
}

impl Iterator for RbdDiff {
    type Item = Result<Extent, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (receiver, running) = self.state.as_ref()?;
            let result = match receiver.recv_timeout(self.limit) {
                Ok(Ok(extent)) => match self.checked(extent) {
                    Ok(None) => continue,
                    Ok(Some(extent)) => return Some(Ok(extent)),
                    Err(error) => Err(error),
                },
                Ok(Err(parsed)) => self.end(Some(parsed)),
                Err(RecvTimeoutError::Disconnected) => self.end(None),
                Err(RecvTimeoutError::Timeout) => {
                    let program = "rbd".into();
                    let stderr = running.stderr();
                    let error = ChildError::TimedOut {
                        program,
                        limit: self.limit,
                        stderr,
                    };
                    Err(told(error, self.doing.clone()))
                }
            };
            self.state = None;
            return result.err().map(Err);
        }
    }
}
