//! Reading in guest order with a window of requests over several connections.

use std::{collections::VecDeque, iter::FusedIterator};

use super::{
    connection::{Connection, Cookie},
    endpoint::Endpoint,
    pending::Reply,
};
use crate::{
    BlocksError, Chunk, ChunkStream, DiskReader, Extent, ExtentKind, ExtentStream, ReadPlan,
    chunk::Pieces,
};

/// A reader over connections of its own. No thread: while one answer is waited for, the others
/// arrive in the sockets' buffers.
pub(super) struct NbdReader {
    connections: Vec<Connection>,
    fragments: bool,
    endpoint: Endpoint,
}

impl NbdReader {
    pub(super) fn new(connections: Vec<Connection>, fragments: bool, endpoint: Endpoint) -> Self {
        Self {
            connections,
            fragments,
            endpoint,
        }
    }
}

impl DiskReader for NbdReader {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a> {
        let exports = || self.connections.iter().map(Connection::export);
        let largest = exports()
            .map(|export| export.block_sizes.maximum)
            .min()
            .unwrap_or(512);
        let size_bytes = exports().map(|export| export.size_bytes).min().unwrap_or(0);
        let pieces = Pieces::new(extents, size_bytes, plan.chunk_bytes.clamp(512, largest));
        Box::new(Chunks {
            connections: &mut self.connections,
            fragments: self.fragments,
            endpoint: &self.endpoint,
            pieces,
            window: plan.window.max(1),
            turn: 0,
            slots: VecDeque::new(),
            is_over: false,
        })
    }
}

/// What will be handed out next, in order.
enum Slot {
    Ready(Result<Chunk, BlocksError>),
    Asked {
        connection: usize,
        cookie: Cookie,
        piece: Extent,
    },
}

struct Chunks<'a> {
    connections: &'a mut Vec<Connection>,
    fragments: bool,
    endpoint: &'a Endpoint,
    pieces: Pieces<ExtentStream<'a>>,
    window: usize,
    turn: usize,
    slots: VecDeque<Slot>,
    is_over: bool,
}

impl Chunks<'_> {
    fn fill(&mut self) {
        while self.slots.len() < self.window && !self.is_over {
            let Some(piece) = self.pieces.next() else {
                self.is_over = true;
                return;
            };
            let slot = match piece {
                Ok(piece) => self
                    .ask(piece)
                    .unwrap_or_else(|error| Slot::Ready(Err(error))),
                Err(error) => Slot::Ready(Err(error)),
            };
            self.is_over = matches!(slot, Slot::Ready(Err(_)));
            self.slots.push_back(slot);
        }
    }

    fn ask(&mut self, piece: Extent) -> Result<Slot, BlocksError> {
        let Extent {
            offset,
            length,
            kind,
        } = piece;
        if kind == ExtentKind::Zero {
            return Ok(Slot::Ready(Ok(Chunk::Zero { offset, length })));
        }
        self.turn = (self.turn + 1) % self.connections.len().max(1);
        let connection = self.turn;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let Some(to) = self.connections.get_mut(connection) else {
            return Err(self.endpoint.unconnected());
        };
        let cookie = to
            .send_read(offset, length, self.fragments)
            .map_err(|error| error.while_doing(self.endpoint.doing("read")))?;
        Ok(Slot::Asked {
            connection,
            cookie,
            piece,
        })
    }

    fn hand_out(&mut self, slot: Slot) -> Result<Chunk, BlocksError> {
        let (connection, cookie, piece) = match slot {
            Slot::Ready(result) => return result,
            Slot::Asked {
                connection,
                cookie,
                piece,
            } => (connection, cookie, piece),
        };
        let Some(from) = self.connections.get_mut(connection) else {
            return Err(self.endpoint.unconnected());
        };
        let reply = from
            .wait(cookie)
            .map_err(|error| error.while_doing(self.endpoint.doing("read")))?;
        let Extent { offset, length, .. } = piece;
        Ok(match reply {
            Reply::Data(bytes) => Chunk::Data {
                offset,
                bytes: bytes.into(),
            },
            _ => Chunk::Zero { offset, length },
        })
    }

    /// Nobody will wait for what is still in flight.
    fn let_go(&mut self) {
        self.is_over = true;
        for slot in self.slots.drain(..) {
            if let Slot::Asked {
                connection, cookie, ..
            } = slot
                && let Some(connection) = self.connections.get_mut(connection)
            {
                connection.forget(cookie);
            }
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Chunk, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        let slot = self.slots.pop_front()?;
        let chunk = self.hand_out(slot);
        if chunk.is_err() {
            self.let_go();
        }
        Some(chunk)
    }
}

impl FusedIterator for Chunks<'_> {}

impl Drop for Chunks<'_> {
    fn drop(&mut self) {
        self.let_go();
    }
}
