//! Walking the block status of a disk in one context.

use std::{collections::VecDeque, ops::Range};

use super::{
    connection::Connection,
    error::NbdError,
    pending::{Reply, StatusRange},
    protocol::{Command, Operation},
};
use crate::{Extent, ExtentKind};

/// The context that tells what is allocated and what reads as zeroes.
pub const BASE_ALLOCATION: &str = "base:allocation";

/// Asked for at once: large enough that a sparse disk takes few requests, small enough that a
/// server that has to look it up object by object answers in time.
const STEP: u64 = 1 << 30;

/// A run of the disk in one state of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusExtent {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// As the context defines them: `base:allocation` 1 hole, 2 zero; a dirty bitmap 1 dirty.
    pub flags: u32,
}

impl StatusExtent {
    /// The run in terms of `base:allocation`.
    pub fn as_allocation(self) -> Extent {
        let Self {
            offset,
            length,
            flags,
        } = self;
        let kind = if flags & 2 == 0 {
            ExtentKind::Data
        } else {
            ExtentKind::Zero
        };
        Extent {
            offset,
            length,
            kind,
        }
    }
}

/// Yields runs without gaps, in order; neighbours may be of one state.
pub struct StatusWalk {
    connection: Connection,
    context: u32,
    position: u64,
    end: u64,
    told: VecDeque<StatusRange>,
}

impl StatusWalk {
    /// Walks `range` in a context that the connection asked for.
    pub fn new(connection: Connection, context: &str, range: Range<u64>) -> Result<Self, NbdError> {
        let end = range.end.min(connection.export().size_bytes);
        let Some(context) = connection.export().context_id(context) else {
            let command = Command::BlockStatus;
            let operation = Operation {
                command,
                offset: range.start,
                length: 0,
            };
            let problem = format!("the server does not have the context {context}");
            return Err(NbdError::Invalid { operation, problem });
        };
        let told = VecDeque::new();
        Ok(Self {
            connection,
            context,
            position: range.start,
            end,
            told,
        })
    }

    fn ask(&mut self) -> Result<(), NbdError> {
        let length = u32::try_from((self.end - self.position).min(STEP)).unwrap_or(u32::MAX);
        let cookie = self.connection.send_block_status(self.position, length)?;
        let Reply::Status(lists) = self.connection.wait(cookie)? else {
            return Err(self.broken(length));
        };
        let ranges = lists.into_iter().find(|(id, _)| *id == self.context);
        // Ranges are never empty, so each answer moves the walk on.
        self.told = ranges
            .map(|(_, ranges)| ranges.into())
            .ok_or_else(|| self.broken(length))?;
        Ok(())
    }

    fn broken(&self, length: u32) -> NbdError {
        let operation = Operation {
            command: Command::BlockStatus,
            offset: self.position,
            length,
        };
        let problem = "the answer lacks the context".to_owned();
        NbdError::Protocol {
            during: format!("waiting to {operation}"),
            problem,
        }
    }
}

impl Iterator for StatusWalk {
    type Item = Result<StatusExtent, NbdError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.end {
            return None;
        }
        if self.told.is_empty()
            && let Err(error) = self.ask()
        {
            self.end = self.position;
            return Some(Err(error));
        }
        let range = self.told.pop_front()?;
        // The last run may reach beyond what was asked for.
        let length = u64::from(range.length).min(self.end - self.position);
        let offset = self.position;
        self.position += length;
        Some(Ok(StatusExtent {
            offset,
            length,
            flags: range.flags,
        }))
    }
}
