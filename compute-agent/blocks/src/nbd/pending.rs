//! Requests that wait for their answers, and the answers put together.

use std::{collections::HashMap, io::Read, ops::Range};

use super::{
    coverage::Coverage,
    error::{Fault, NbdError},
    protocol::{Command, Operation},
};

/// An answer without error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The bytes that were asked for.
    Data(Vec<u8>),
    /// The whole range that was asked for is a hole: it reads as zeroes.
    Hole,
    /// The state of the range, by context id.
    Status(Vec<(u32, Vec<StatusRange>)>),
}

/// A run of bytes in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// How many bytes from the end of the range before.
    pub length: u32,
    /// What the context says of them.
    pub flags: u32,
}

/// The answer so far.
#[derive(Debug)]
enum Partial {
    Done,
    Read { bytes: Vec<u8>, covered: Coverage },
    Status(Vec<(u32, Vec<StatusRange>)>),
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) operation: Operation,
    partial: Partial,
    failure: Option<(u32, String)>,
    is_forgotten: bool,
}

/// All requests of one connection by their cookies.
#[derive(Debug, Default)]
pub(super) struct Pending {
    in_flight: HashMap<u64, InFlight>,
    finished: HashMap<u64, Result<Reply, NbdError>>,
}

impl Pending {
    pub(super) fn insert(&mut self, cookie: u64, operation: Operation) {
        let partial = match operation.command {
            Command::Read => Partial::Read {
                bytes: Vec::new(),
                covered: Coverage::default(),
            },
            Command::BlockStatus => Partial::Status(Vec::new()),
            _ => Partial::Done,
        };
        let request = InFlight {
            operation,
            partial,
            failure: None,
            is_forgotten: false,
        };
        self.in_flight.insert(cookie, request);
    }

    pub(super) fn request(&mut self, cookie: u64) -> Result<&mut InFlight, Fault> {
        let unknown =
            || Fault::Protocol(format!("an answer to request {cookie}, which is not open"));
        self.in_flight.get_mut(&cookie).ok_or_else(unknown)
    }

    pub(super) fn operation(&self, cookie: u64) -> Option<Operation> {
        self.in_flight.get(&cookie).map(|request| request.operation)
    }

    pub(super) fn take_finished(&mut self, cookie: u64) -> Option<Result<Reply, NbdError>> {
        self.finished.remove(&cookie)
    }

    /// The answer will be read off the wire and dropped.
    pub(super) fn forget(&mut self, cookie: u64) {
        self.finished.remove(&cookie);
        if let Some(request) = self.in_flight.get_mut(&cookie) {
            request.is_forgotten = true;
        }
    }

    /// Called when the last piece of an answer is there.
    pub(super) fn finish(&mut self, cookie: u64) -> Result<(), Fault> {
        let Some(request) = self.in_flight.remove(&cookie) else {
            return Ok(());
        };
        let is_forgotten = request.is_forgotten;
        let result = request.result()?;
        if !is_forgotten {
            self.finished.insert(cookie, result);
        }
        Ok(())
    }
}

impl InFlight {
    pub(super) fn is_read(&self) -> bool {
        self.operation.command == Command::Read
    }

    /// The first failure is the one that is told.
    pub(super) fn fail(&mut self, errno: u32, message: String) {
        self.failure.get_or_insert((errno, message));
    }

    /// Takes `length` bytes for the disk's `offset` off the wire.
    pub(super) fn data(
        &mut self,
        reader: &mut dyn Read,
        offset: u64,
        length: u32,
    ) -> Result<(), Fault> {
        let place = self.cover(offset, length)?;
        let whole = usize::try_from(self.operation.length).unwrap_or_default();
        let Partial::Read { bytes, .. } = &mut self.partial else {
            return Fault::protocol("data for a request that reads nothing");
        };
        if bytes.is_empty() {
            // Only now is memory taken, for a length that we chose ourselves.
            *bytes = vec![0; whole];
        }
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        let end = usize::try_from(place.end).unwrap_or(usize::MAX);
        let Some(place) = bytes.get_mut(start..end) else {
            return Fault::protocol("data beyond the buffer");
        };
        Ok(reader.read_exact(place)?)
    }

    pub(super) fn hole(&mut self, offset: u64, length: u32) -> Result<(), Fault> {
        self.cover(offset, length).map(drop)
    }

    fn cover(&mut self, offset: u64, length: u32) -> Result<Range<u32>, Fault> {
        let operation = self.operation;
        let Partial::Read { covered, .. } = &mut self.partial else {
            return Fault::protocol("data for a request that reads nothing");
        };
        let start = offset
            .checked_sub(operation.offset)
            .and_then(|at| u32::try_from(at).ok());
        let range = start
            .and_then(|start| start.checked_add(length).map(|end| start..end))
            .filter(|range| range.end <= operation.length);
        match range {
            Some(range) if covered.add(range.clone()) => Ok(range),
            Some(_) => Fault::protocol(format!("{length} bytes at {offset} empty or told twice")),
            None => Fault::protocol(format!("{length} bytes at {offset} were not asked for")),
        }
    }

    pub(super) fn status(&mut self, context: u32, ranges: Vec<StatusRange>) -> Result<(), Fault> {
        let Partial::Status(lists) = &mut self.partial else {
            return Fault::protocol("a block status that was not asked for");
        };
        if lists.iter().any(|(other, _)| *other == context) {
            return Fault::protocol("the block status of a context told twice");
        }
        lists.push((context, ranges));
        Ok(())
    }

    fn result(self) -> Result<Result<Reply, NbdError>, Fault> {
        let Self {
            operation,
            partial,
            failure,
            ..
        } = self;
        if let Some((errno, message)) = failure {
            return Ok(Err(NbdError::Failed {
                operation,
                errno,
                message,
            }));
        }
        match partial {
            Partial::Done => Ok(Ok(Reply::Done)),
            Partial::Status(lists) => Ok(Ok(Reply::Status(lists))),
            Partial::Read { covered, .. } if !covered.is_whole(operation.length) => {
                Fault::protocol("the answer ended before all bytes were told")
            }
            Partial::Read { bytes, .. } if bytes.is_empty() => Ok(Ok(Reply::Hole)),
            Partial::Read { bytes, .. } => Ok(Ok(Reply::Data(bytes))),
        }
    }
}
