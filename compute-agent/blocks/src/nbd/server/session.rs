//! Requests, one after the other, and their answers.

use std::io::{self, Read, Write};

use super::ServedDisk;
use super::options::{Agreed, CONTEXT_ID, LARGEST_READ, broken};
use crate::nbd::protocol::*;
use crate::nbd::wire::{u16_of, u32_of, u64_of};

/// What is read and sent at once.
const PIECE: u32 = 1 << 20;
/// Extents in an answer about a range.
const MOST_EXTENTS: usize = 1024;
/// Only the first extent is wanted.
const FLAG_ONE: u16 = 1 << 3;
const STATE_HOLE_ZERO: u32 = 3;

const EPERM: u32 = 1;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const WRITE_ZEROES: u16 = 6;
const BLOCK_STATUS: u16 = 7;

struct Request {
    flags: u16,
    command: u16,
    cookie: u64,
    offset: u64,
    length: u32,
}

/// Ends when the client says so or goes.
pub(super) fn run(
    disk: &dyn ServedDisk,
    agreed: Agreed,
    reader: &mut dyn Read,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let mut session = Session {
        disk,
        agreed,
        writer,
        buffer: Vec::new(),
    };
    while let Some(request) = next_request(reader)? {
        if request.command == DISCONNECT {
            break;
        }
        if request.command == WRITE {
            // Its bytes must be taken off the stream before anything can be said.
            if request.length > LARGEST_READ {
                return Err(broken("a write is too long"));
            }
            let mut bytes = reader.take(u64::from(request.length));
            let taken = io::copy(&mut bytes, &mut io::sink())?;
            if taken < u64::from(request.length) {
                return Ok(());
            }
        }
        session.answer(&request)?;
    }
    Ok(())
}

/// None if the client has gone between two requests.
fn next_request(reader: &mut dyn Read) -> io::Result<Option<Request>> {
    let magic = match u32_of(reader) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        magic => magic?,
    };
    if magic != REQUEST_MAGIC {
        return Err(broken("a request has no magic"));
    }
    Ok(Some(Request {
        flags: u16_of(reader)?,
        command: u16_of(reader)?,
        cookie: u64_of(reader)?,
        offset: u64_of(reader)?,
        length: u32_of(reader)?,
    }))
}

struct Session<'a> {
    disk: &'a dyn ServedDisk,
    agreed: Agreed,
    writer: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl Session<'_> {
    fn answer(&mut self, request: &Request) -> io::Result<()> {
        let size_bytes = self.disk.size_bytes();
        let end = request.offset.checked_add(u64::from(request.length));
        let is_within = end.is_some_and(|end| end <= size_bytes);
        match request.command {
            READ if !is_within || request.length > LARGEST_READ || request.flags != 0 => {
                self.fail(request, EINVAL)
            }
            READ if self.agreed.has_structured_replies => self.read_structured(request),
            READ => self.read_simple(request),
            BLOCK_STATUS
                if self.agreed.has_context
                    && is_within
                    && request.length > 0
                    && request.flags & !FLAG_ONE == 0 =>
            {
                self.block_status(request)
            }
            FLUSH if request.flags == 0 => self.done(request),
            WRITE | TRIM | WRITE_ZEROES => self.fail(request, EPERM),
            _ => self.fail(request, EINVAL),
        }
    }

    fn simple(&mut self, request: &Request, errno: u32) -> io::Result<()> {
        let mut reply = SIMPLE_REPLY_MAGIC.to_be_bytes().to_vec();
        reply.extend(errno.to_be_bytes());
        reply.extend(request.cookie.to_be_bytes());
        self.writer.write_all(&reply)
    }

    fn chunk(
        &mut self,
        request: &Request,
        flags: u16,
        kind: u16,
        head: &[u8],
        bytes: u32,
    ) -> io::Result<()> {
        let mut chunk = STRUCTURED_REPLY_MAGIC.to_be_bytes().to_vec();
        chunk.extend(flags.to_be_bytes());
        chunk.extend(kind.to_be_bytes());
        chunk.extend(request.cookie.to_be_bytes());
        let length = u32::try_from(head.len()).map_err(io::Error::other)? + bytes;
        chunk.extend(length.to_be_bytes());
        chunk.extend(head);
        self.writer.write_all(&chunk)
    }

    fn done(&mut self, request: &Request) -> io::Result<()> {
        if self.agreed.has_structured_replies {
            return self.chunk(request, CHUNK_DONE, CHUNK_NONE, &[], 0);
        }
        self.simple(request, 0)
    }

    fn fail(&mut self, request: &Request, errno: u32) -> io::Result<()> {
        if !self.agreed.has_structured_replies {
            return self.simple(request, errno);
        }
        let mut error = errno.to_be_bytes().to_vec();
        // No words.
        error.extend([0; 2]);
        self.chunk(request, CHUNK_DONE, CHUNK_ERROR + 1, &error, 0)
    }

    fn read_structured(&mut self, request: &Request) -> io::Result<()> {
        let (mut offset, mut left) = (request.offset, request.length);
        while left > 0 {
            let Ok((same, is_zero)) = self.disk.extent_at(offset, u64::from(left)) else {
                return self.fail(request, EIO);
            };
            let same = u32::try_from(same).unwrap_or(left).clamp(1, left);
            let mut head = offset.to_be_bytes().to_vec();
            let length = if is_zero { same } else { same.min(PIECE) };
            if is_zero {
                head.extend(length.to_be_bytes());
                self.chunk(request, 0, CHUNK_OFFSET_HOLE, &head, 0)?;
            } else {
                if let Err(error) = self.fill(offset, length) {
                    tracing::error!("cannot serve {length} bytes at {offset}: {error}");
                    return self.fail(request, EIO);
                }
                self.chunk(request, 0, CHUNK_OFFSET_DATA, &head, length)?;
                self.writer.write_all(&self.buffer)?;
            }
            offset += u64::from(length);
            left -= length;
        }
        self.done(request)
    }

    /// Once it has been said that all is well there is no way to say otherwise but to hang up.
    fn read_simple(&mut self, request: &Request) -> io::Result<()> {
        let (mut offset, mut left) = (request.offset, request.length);
        let mut is_begun = false;
        while left > 0 {
            let length = left.min(PIECE);
            if let Err(error) = self.fill(offset, length) {
                tracing::error!("cannot serve {length} bytes at {offset}: {error}");
                if is_begun {
                    return Err(error);
                }
                return self.simple(request, EIO);
            }
            if !is_begun {
                self.simple(request, 0)?;
                is_begun = true;
            }
            self.writer.write_all(&self.buffer)?;
            offset += u64::from(length);
            left -= length;
        }
        if is_begun {
            Ok(())
        } else {
            self.simple(request, 0)
        }
    }

    fn fill(&mut self, offset: u64, length: u32) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.buffer.resize(length, 0);
        self.disk.read_at(&mut self.buffer, offset)
    }

    fn block_status(&mut self, request: &Request) -> io::Result<()> {
        let most = if request.flags & FLAG_ONE != 0 {
            1
        } else {
            MOST_EXTENTS
        };
        let mut head = CONTEXT_ID.to_be_bytes().to_vec();
        let (mut offset, mut left) = (request.offset, request.length);
        let mut extents = 0;
        while left > 0 && extents < most {
            let Ok((same, is_zero)) = self.disk.extent_at(offset, u64::from(left)) else {
                return self.fail(request, EIO);
            };
            let same = u32::try_from(same).unwrap_or(left).clamp(1, left);
            head.extend(same.to_be_bytes());
            let state = if is_zero { STATE_HOLE_ZERO } else { 0 };
            head.extend(state.to_be_bytes());
            offset += u64::from(same);
            left -= same;
            extents += 1;
        }
        self.chunk(request, CHUNK_DONE, CHUNK_BLOCK_STATUS, &head, 0)
    }
}
