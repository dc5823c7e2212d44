//! Taking one reply, or one chunk of a structured reply, off the wire.

use std::io::Read;

use super::{
    error::Fault,
    pending::{Pending, StatusRange},
    protocol::*,
    wire::{bytes_of, u16_of, u32_of, u64_of},
};

/// Error messages have 4096 bytes at most; with what is around them.
const LONGEST_ERROR: u32 = 4096 + 64;
/// Eight times what qemu sends at most.
const MOST_STATUS_RANGES: u32 = 1 << 20;

/// Takes one message in; the cookie of a request that it finished.
pub(super) fn receive(
    reader: &mut dyn Read,
    pending: &mut Pending,
    structured: bool,
) -> Result<Option<u64>, Fault> {
    match u32_of(reader)? {
        SIMPLE_REPLY_MAGIC => simple(reader, pending, structured).map(Some),
        STRUCTURED_REPLY_MAGIC if structured => chunk(reader, pending),
        magic => Fault::protocol(format!("a reply with magic {magic:#x}")),
    }
}

fn simple(reader: &mut dyn Read, pending: &mut Pending, structured: bool) -> Result<u64, Fault> {
    let errno = u32_of(reader)?;
    let cookie = u64_of(reader)?;
    let request = pending.request(cookie)?;
    let operation = request.operation;
    if errno != 0 {
        request.fail(errno, String::new());
    } else if request.is_read() && structured {
        return Fault::protocol("a simple reply to a read after structured replies were agreed");
    } else if request.is_read() {
        request.data(reader, operation.offset, operation.length)?;
    } else if operation.command == Command::BlockStatus {
        return Fault::protocol("a simple reply to a request for block status");
    }
    pending.finish(cookie)?;
    Ok(cookie)
}

fn chunk(reader: &mut dyn Read, pending: &mut Pending) -> Result<Option<u64>, Fault> {
    let flags = u16_of(reader)?;
    let kind = u16_of(reader)?;
    let cookie = u64_of(reader)?;
    let length = u32_of(reader)?;
    let request = pending.request(cookie)?;
    let is_done = flags & CHUNK_DONE != 0;
    match kind {
        CHUNK_NONE if length == 0 && is_done => {}
        CHUNK_OFFSET_DATA if length > 8 => {
            let offset = u64_of(reader)?;
            request.data(reader, offset, length - 8)?;
        }
        CHUNK_OFFSET_HOLE if length == 12 => {
            let offset = u64_of(reader)?;
            request.hole(offset, u32_of(reader)?)?;
        }
        CHUNK_BLOCK_STATUS => {
            let context = u32_of(reader)?;
            let ranges = status_ranges(reader, length)?;
            request.status(context, ranges)?;
        }
        kind if kind & CHUNK_ERROR != 0 => {
            let (errno, message) = error_chunk(reader, kind, length)?;
            request.fail(errno, message);
        }
        kind => return Fault::protocol(format!("a chunk of type {kind} with {length} bytes")),
    }
    if !is_done {
        return Ok(None);
    }
    pending.finish(cookie)?;
    Ok(Some(cookie))
}

fn status_ranges(reader: &mut dyn Read, length: u32) -> Result<Vec<StatusRange>, Fault> {
    let count = length.saturating_sub(4) / 8;
    if length != 4 + count * 8 || count == 0 || count > MOST_STATUS_RANGES {
        return Fault::protocol(format!("a block status of {length} bytes"));
    }
    let mut ranges = Vec::new();
    for _ in 0..count {
        let length = u32_of(reader)?;
        let flags = u32_of(reader)?;
        if length == 0 {
            return Fault::protocol("a block status of an empty range");
        }
        ranges.push(StatusRange { length, flags });
    }
    Ok(ranges)
}

fn error_chunk(reader: &mut dyn Read, kind: u16, length: u32) -> Result<(u32, String), Fault> {
    let payload_length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(6..=LONGEST_ERROR).contains(&length) {
        return Fault::protocol(format!("an error of {length} bytes"));
    }
    let payload = bytes_of(reader, payload_length)?;
    let mut rest = payload.as_slice();
    let errno = u32_of(&mut rest)?;
    let message_length = usize::from(u16_of(&mut rest)?);
    let Some((message, rest)) = rest.split_at_checked(message_length) else {
        return Fault::protocol("an error message beyond its chunk");
    };
    if errno == 0 {
        return Fault::protocol("an error chunk without an error");
    }
    let mut message = String::from_utf8_lossy(message).into_owned();
    if kind == CHUNK_ERROR_OFFSET
        && let Ok(offset) = u64_of(&mut &*rest)
    {
        message = format!("{message} (at offset {offset})");
    }
    Ok((errno, message))
}
