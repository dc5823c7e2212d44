//! Writing with a window of requests over several connections.

use std::collections::VecDeque;

use super::{
    connection::{Connection, Cookie, ZeroOptions},
    endpoint::Endpoint,
    error::NbdError,
};
use crate::{BlocksError, DiskSink, ErrorKind};

/// Zeroing is asked for in pieces, so that each is answered in time.
const ZERO_STEP: u64 = 256 << 20;

/// Written where the server cannot zero by itself.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

struct Outstanding {
    connection: usize,
    cookie: Cookie,
    start: u64,
    end: u64,
}

pub(super) struct NbdSink {
    connections: Vec<Connection>,
    endpoint: Endpoint,
    size_bytes: u64,
    window: usize,
    turn: usize,
    outstanding: VecDeque<Outstanding>,
    /// Once a write was lost, a flush must not say that all is well.
    has_failed: bool,
}

impl NbdSink {
    pub(super) fn new(connections: Vec<Connection>, endpoint: Endpoint, window: usize) -> Self {
        let sizes = connections
            .iter()
            .map(|connection| connection.export().size_bytes);
        Self {
            size_bytes: sizes.min().unwrap_or(0),
            connections,
            endpoint,
            window: window.max(1),
            turn: 0,
            outstanding: VecDeque::new(),
            has_failed: false,
        }
    }

    fn start<F>(&mut self, offset: u64, length: u64, send: F) -> Result<(), BlocksError>
    where
        F: FnOnce(&mut Connection) -> Result<Cookie, NbdError>,
    {
        self.refuse_after_failure()?;
        let end = offset.saturating_add(length);
        // A server may reorder what is in flight: what overlaps is not in flight together.
        while self.outstanding.len() >= self.window
            || self
                .outstanding
                .iter()
                .any(|other| other.start < end && offset < other.end)
        {
            self.wait_for_oldest()?;
        }
        self.turn = (self.turn + 1) % self.connections.len().max(1);
        let cookie = self.on(self.turn, send)?;
        self.outstanding.push_back(Outstanding {
            connection: self.turn,
            cookie,
            start: offset,
            end,
        });
        Ok(())
    }

    fn wait_for_oldest(&mut self) -> Result<(), BlocksError> {
        match self.outstanding.pop_front() {
            Some(Outstanding {
                connection, cookie, ..
            }) => self
                .on(connection, |connection| connection.wait(cookie))
                .map(drop),
            None => Ok(()),
        }
    }

    fn on<T, F>(&mut self, connection: usize, act: F) -> Result<T, BlocksError>
    where
        F: FnOnce(&mut Connection) -> Result<T, NbdError>,
    {
        let result = match self.connections.get_mut(connection) {
            Some(connection) => {
                act(connection).map_err(|error| error.while_doing(self.endpoint.doing("write")))
            }
            None => Err(self.endpoint.unconnected()),
        };
        self.has_failed |= result.is_err();
        result
    }

    fn refuse_after_failure(&self) -> Result<(), BlocksError> {
        if !self.has_failed {
            return Ok(());
        }
        let doing = self.endpoint.doing("go on after a failed write to");
        Err(BlocksError::new(ErrorKind::Io, doing))
    }

    fn largest(&self) -> usize {
        let sizes = self
            .connections
            .iter()
            .map(|c| c.export().block_sizes.maximum);
        sizes
            .min()
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(512)
    }

    fn can_zero(&self) -> bool {
        self.connections
            .iter()
            .all(|c| c.export().flags.has_write_zeroes())
    }
}

impl DiskSink for NbdSink {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlocksError> {
        let mut at = offset;
        for part in bytes.chunks(self.largest()) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.start(at, length, |connection| connection.send_write(at, part))?;
            at = at.saturating_add(length);
        }
        Ok(())
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), BlocksError> {
        let can_zero = self.can_zero();
        let zeroes = ZEROES.len().min(self.largest());
        let step = if can_zero {
            ZERO_STEP
        } else {
            u64::try_from(zeroes).unwrap_or(512)
        };
        let (mut at, mut left) = (offset, length);
        while left > 0 {
            let length = left.min(step);
            self.start(at, length, |connection| {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                if can_zero {
                    return connection.send_zeroes(at, length, ZeroOptions::default());
                }
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                connection.send_write(at, ZEROES.get(..length).unwrap_or(&ZEROES))
            })?;
            at = at.saturating_add(length);
            left -= length;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlocksError> {
        self.refuse_after_failure()?;
        while !self.outstanding.is_empty() {
            self.wait_for_oldest()?;
        }
        // Where a server says it can serve several connections, one flush covers all of them, and
        // where it does not we have one. A server without FLUSH has nothing to flush.
        self.on(0, |connection| {
            if !connection.export().flags.has_flush() {
                return Ok(());
            }
            let cookie = connection.send_flush()?;
            connection.wait(cookie).map(drop)
        })
    }
}
