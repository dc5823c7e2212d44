//! An image of which the server copies parts from objects that it has.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use agent_format::ObjectName;
use agent_qcow2::ImageSink;
use agent_target::{ErrorKind, ImageComposition, Result};

use crate::bucket::Opened;
use crate::error::{bare, because, past_the_end};
use crate::settings::LEAST_PART_BYTES;
use crate::sink::Sink;
use crate::target::Shared;

const OPERATION: &str = "copy from image";
/// The server copies larger ranges in several parts, side by side.
const COPY_BYTES: u64 = 256 << 20;
/// What is read of another object at a time, to be sent.
const READ_BYTES: u64 = 8 << 20;

/// Writes one image out of others. Parts are as the ranges make them, so it cannot be resumed: what
/// is copied costs little to copy again.
pub(crate) struct Composition {
    sink: Sink,
    shared: Arc<Shared>,
    sources: BTreeMap<ObjectName, Opened>,
    part_limit: u64,
}

impl Composition {
    pub(crate) fn new(sink: Sink, shared: Arc<Shared>, part_limit: u64) -> Self {
        Self {
            sink,
            shared,
            sources: BTreeMap::new(),
            part_limit,
        }
    }

    /// Parts of less than this are not made now: the more numbers are used up, the larger parts
    /// must be, so that they are never used up in images of any size that exists.
    fn least_part(&self) -> u64 {
        let used = u64::try_from(self.sink.next_part()).unwrap_or(u64::MAX);
        let eighths = used.saturating_mul(8) / self.part_limit;
        let least = LEAST_PART_BYTES << eighths.min(32);
        least.min(self.shared.bucket.settings.largest_part_bytes)
    }

    fn source(&mut self, name: &ObjectName) -> Result<Opened> {
        if let Some(known) = self.sources.get(name) {
            return Ok(known.clone());
        }
        let (shared, key) = (self.shared.clone(), self.shared.bucket.key(name));
        let found = self.shared.blocking.run(async move {
            let bucket = &shared.bucket;
            bucket.head(OPERATION, &key).await
        })?;
        let found = found.ok_or_else(|| bare(ErrorKind::NotFound, OPERATION, name.as_str()))?;
        self.sources.insert(name.clone(), found.clone());
        Ok(found)
    }

    /// Fails if an object that was copied from is another one by now.
    fn expect_same_sources(&self) -> Result<()> {
        for (name, opened) in &self.sources {
            let (shared, key) = (self.shared.clone(), self.shared.bucket.key(name));
            let found = self.shared.blocking.run(async move {
                let bucket = &shared.bucket;
                bucket.head(OPERATION, &key).await
            })?;
            if found.is_none_or(|found| found.etag != opened.etag) {
                let why = "it was replaced or deleted while it was copied from";
                return Err(because(ErrorKind::Other, OPERATION, name.as_str(), why));
            }
        }
        Ok(())
    }

    /// Reads `range` and sends it with what else is sent.
    fn carry(&mut self, source: &ObjectName, object: &Opened, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let (shared, key) = (self.shared.clone(), self.shared.bucket.key(source));
            let (object, length) = (object.clone(), READ_BYTES.min(range.end - at));
            let bytes = self.shared.blocking.run(async move {
                let bucket = &shared.bucket;
                let read = bucket.get_range(OPERATION, &key, &object, at, length);
                read.await
            })?;
            self.sink.push(&bytes)?;
            at += length;
        }
        Ok(())
    }

    fn copy(&mut self, source: &ObjectName, object: &Opened, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        let least = self.least_part();
        let waiting = self.sink.tail_bytes();
        // What waits to be sent must become a part of legal size first, or there is none.
        if waiting > 0 && waiting < least {
            let wanted = (least - waiting).min(range.end - at);
            self.carry(source, object, at..at + wanted)?;
            at += wanted;
        }
        let rest = range.end - at;
        if rest < least {
            return self.carry(source, object, at..range.end);
        }
        self.sink.flush_tail()?;
        let pieces = rest.div_ceil(COPY_BYTES.max(least));
        for piece in 0..pieces {
            // Nearly equal ones, so that the last is not too small.
            let from = at + rest / pieces * piece;
            let end = if piece + 1 == pieces {
                range.end
            } else {
                from + rest / pieces
            };
            let key = self.shared.bucket.key(source);
            self.sink.send_copy(key, from..end)?;
        }
        Ok(())
    }
}

impl ImageComposition for Composition {
    fn append_copy(&mut self, source: &ObjectName, range: Range<u64>) -> io::Result<()> {
        if range.start > range.end {
            let why = "the range ends before it begins";
            return Err(because(ErrorKind::Other, OPERATION, source.as_str(), why).into());
        }
        let object = self.source(source)?;
        if range.end > object.size_bytes {
            return Err(past_the_end(source.as_str()));
        }
        if range.is_empty() {
            return Ok(());
        }
        Ok(self.copy(source, &object, range)?)
    }
}

impl ImageSink for Composition {
    fn head_minimum_bytes(&self) -> u64 {
        self.sink.head_minimum_bytes()
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.sink.reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.append(bytes)
    }

    fn position(&self) -> u64 {
        self.sink.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        // There is no going on from here, so only an error is worth knowing.
        Ok(self.sink.wait(0)?)
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.sink.wait(0)?;
        self.expect_same_sources()?;
        self.sink.finish(head)
    }
}
