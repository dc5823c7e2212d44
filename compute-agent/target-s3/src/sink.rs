//! Writing an image: parts sent side by side, the head last, nothing on a local disk.

mod buffers;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use agent_format::ObjectName;
use agent_qcow2::ImageSink;
use agent_target::{ErrorKind, Result};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::error::because;
use crate::settings::LEAST_PART_BYTES;
use crate::target::Shared;
use crate::unfinished::{Piece, State, Unfinished, piece_key};
use buffers::Buffers;

type Sent = (i32, Result<String>);

/// Writes one image.
pub(crate) struct Sink {
    shared: Arc<Shared>,
    name: ObjectName,
    key: String,
    partial: String,
    part_limit: u64,
    state: State,
    /// What stands in the bucket, if anything does.
    written_state: Option<State>,
    /// What follows the last part that was handed over.
    tail: Vec<u8>,
    position: u64,
    /// The number of the part that the tail is the beginning of.
    next_part: i32,
    /// Tags by number of the parts that the server has.
    parts: BTreeMap<i32, String>,
    in_flight: usize,
    sent: (Sender<Sent>, Receiver<Sent>),
    /// Dropping it ends what is in flight.
    tasks: JoinSet<()>,
    buffers: Buffers,
    pieces: Vec<Piece>,
    synced: u64,
}

impl Sink {
    pub(crate) fn create(
        shared: Arc<Shared>,
        name: &ObjectName,
        part_bytes: u64,
        part_limit: u64,
    ) -> Self {
        Self::new(shared, name, part_limit, State::new(part_bytes))
    }

    pub(crate) fn resume(
        shared: Arc<Shared>,
        name: &ObjectName,
        unfinished: Unfinished,
        length: u64,
        part_limit: u64,
    ) -> Self {
        let mut sink = Self::new(shared, name, part_limit, unfinished.state);
        let parts = unfinished.parts.into_iter();
        sink.written_state = Some(sink.state.clone());
        sink.parts = parts.map(|part| (part.number, part.etag)).collect();
        sink.tail = unfinished.tail;
        sink.pieces = unfinished.pieces;
        sink.next_part = sink.state.part_number(sink.state.part_start(length));
        sink.position = length;
        sink.synced = length;
        sink
    }

    fn new(shared: Arc<Shared>, name: &ObjectName, part_limit: u64, state: State) -> Self {
        Self {
            key: shared.bucket.key(name),
            partial: shared.bucket.partial_key(name),
            name: name.clone(),
            buffers: Buffers::new(shared.bucket.settings.parts_in_flight),
            shared,
            part_limit,
            state,
            written_state: None,
            tail: Vec::new(),
            position: 0,
            next_part: 1,
            parts: BTreeMap::new(),
            in_flight: 0,
            sent: channel(),
            tasks: JoinSet::new(),
            pieces: Vec::new(),
            synced: 0,
        }
    }

    fn part_length(&self) -> usize {
        usize::try_from(self.state.part_bytes).unwrap_or(usize::MAX)
    }

    fn upload(&mut self) -> Result<String> {
        if let Some(id) = &self.state.upload_id {
            return Ok(id.clone());
        }
        let (shared, key) = (self.shared.clone(), self.key.clone());
        let writer = self.state.writer.clone();
        let id = self.shared.blocking.run(async move {
            let begun = shared.bucket.begin_upload("begin image", &key, &writer);
            begun.await
        })?;
        self.state.upload_id = Some(id.clone());
        Ok(id)
    }

    fn send(&mut self, operation: &'static str, number: i32, bytes: Bytes) -> Result<()> {
        let (shared, key) = (self.shared.clone(), self.key.clone());
        let upload = self.upload()?;
        let task = async move {
            let sent = shared
                .bucket
                .send_part(operation, &key, &upload, number, bytes);
            sent.await
        };
        self.hand_over(operation, number, task)
    }

    /// Lets the server copy `range` of the object `source` as the next part.
    pub(crate) fn send_copy(&mut self, source: String, range: Range<u64>) -> Result<()> {
        self.wait_for_room()?;
        let (shared, key) = (self.shared.clone(), self.key.clone());
        let upload = self.upload()?;
        let number = self.next_part;
        self.next_part += 1;
        self.position += range.end - range.start;
        let task = async move {
            let part = (upload.as_str(), number);
            let sent = shared.bucket.copy_part(&key, part, &source, range);
            sent.await
        };
        self.hand_over("copy from image", number, task)
    }

    fn hand_over(
        &mut self,
        operation: &'static str,
        number: i32,
        task: impl Future<Output = Result<String>> + Send + 'static,
    ) -> Result<()> {
        if u64::try_from(number).is_ok_and(|number| number > self.part_limit) {
            let why = format!(
                "the server takes {} parts of an object and this one has {} bytes already: \
                 part_size_mib must be larger",
                self.part_limit, self.position
            );
            return Err(because(ErrorKind::Other, operation, &self.key, why));
        }
        let answer = self.sent.0.clone();
        self.in_flight += 1;
        let task = async move {
            // Who dropped the sink does not want to know.
            drop(answer.send((number, task.await)));
        };
        self.tasks.spawn_on(task, self.shared.blocking.handle());
        Ok(())
    }

    /// The part that is being filled counts.
    fn wait_for_room(&mut self) -> Result<()> {
        self.wait(self.shared.bucket.settings.parts_in_flight - 1)
    }

    /// Waits until at most `left` parts are in flight.
    pub(crate) fn wait(&mut self, left: usize) -> Result<()> {
        while self.in_flight > left {
            let Ok((number, sent)) = self.sent.1.recv() else {
                let why = "a part was lost on the way";
                return Err(because(ErrorKind::Other, "write image", &self.key, why));
            };
            self.in_flight -= 1;
            self.parts.insert(number, sent?);
            while self.tasks.try_join_next().is_some() {}
        }
        Ok(())
    }

    /// Hands over the tail as the part that it is the beginning, or all, of.
    fn send_tail(&mut self, operation: &'static str) -> Result<()> {
        let bytes = self.buffers.lend(std::mem::take(&mut self.tail));
        let number = self.next_part;
        self.next_part += 1;
        self.send(operation, number, bytes)
    }

    /// The same before a part that has not its bytes from us.
    pub(crate) fn flush_tail(&mut self) -> Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        self.send_tail("write image")
    }

    pub(crate) fn tail_bytes(&self) -> u64 {
        self.tail.len() as u64
    }

    pub(crate) fn next_part(&self) -> i32 {
        self.next_part
    }

    fn tail_start(&self) -> u64 {
        self.position - self.tail.len() as u64
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.tail.is_empty() {
                self.wait_for_room()?;
                self.tail = self.buffers.take(self.part_length());
            }
            let room = self.part_length() - self.tail.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.tail.extend_from_slice(now);
            self.position += now.len() as u64;
            bytes = later;
            if self.tail.len() == self.part_length() {
                self.send_tail("write image")?;
            }
        }
        Ok(())
    }

    fn make_durable(&mut self) -> Result<()> {
        self.wait(0)?;
        let from = self.synced.max(self.tail_start());
        let new = usize::try_from(from - self.tail_start())
            .ok()
            .and_then(|skipped| self.tail.get(skipped..))
            .unwrap_or_default();
        let piece = (!new.is_empty()).then(|| Piece {
            start: from,
            key: piece_key(&self.partial, from),
        });
        let shared = self.shared.clone();
        let (partial, bytes) = (self.partial.clone(), Bytes::copy_from_slice(new));
        let state = self.state.clone();
        let is_new_state = self.written_state.as_ref() != Some(&state);
        // The last sync is still what the caller would go on from if this were the end.
        let needed = self.state.part_start(self.synced);
        let (old, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pieces)
            .into_iter()
            .partition(|piece| piece.start < needed);
        self.pieces = kept;
        self.pieces.extend(piece.clone());
        self.shared.blocking.run(async move {
            let operation = "flush image";
            if let Some(piece) = piece {
                shared.bucket.put(operation, &piece.key, bytes).await?;
            }
            if is_new_state {
                shared.bucket.write_state(&partial, &state).await?;
            }
            let old: Vec<_> = old.into_iter().map(|piece| piece.key).collect();
            shared.bucket.delete_all(operation, &old).await
        })?;
        self.written_state = Some(self.state.clone());
        self.synced = self.position;
        Ok(())
    }

    fn publish(&mut self, head: &[u8]) -> Result<()> {
        let operation = "complete image";
        if head.len() as u64 != self.state.head_bytes {
            let why = "the head is not as long as what was reserved";
            return Err(because(ErrorKind::Other, operation, &self.key, why));
        }
        let (shared, key) = (self.shared.clone(), self.key.clone());
        if self.state.upload_id.is_none() {
            let bytes = Bytes::from([head, &self.tail].concat());
            self.shared
                .blocking
                .run(async move { shared.bucket.put(operation, &key, bytes).await })?;
        } else {
            self.flush_tail()?;
            if !head.is_empty() {
                self.wait_for_room()?;
                self.send(operation, 1, Bytes::copy_from_slice(head))?;
            }
            self.wait(0)?;
            let (id, parts) = (self.upload()?, std::mem::take(&mut self.parts));
            let writer = self.state.writer.clone();
            self.shared.blocking.run(async move {
                let bucket = &shared.bucket;
                let completed = bucket.complete_upload(operation, &key, &id, &parts, &writer);
                completed.await
            })?;
        }
        self.remove_partial();
        Ok(())
    }

    /// The object is there. What stands beside it has no meaning any more; if it cannot be removed now,
    /// that is no reason to say that the image was not written, and it goes with its folder.
    fn remove_partial(&mut self) {
        if self.written_state.take().is_none() {
            return;
        }
        let (shared, name) = (self.shared.clone(), self.name.clone());
        let removed = self.shared.blocking.run(async move {
            let bucket = &shared.bucket;
            bucket.abandon("complete image", &name).await
        });
        drop(removed);
    }
}

impl ImageSink for Sink {
    fn head_minimum_bytes(&self) -> u64 {
        LEAST_PART_BYTES
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        let is_legal = length >= LEAST_PART_BYTES && self.position == 0;
        if length > 0 && !is_legal {
            let why = "a head is at least 5 MiB long and reserved before all else";
            return Err(because(ErrorKind::Other, "begin image", &self.key, why).into());
        }
        self.state.head_bytes = length;
        self.next_part = self.state.first_part();
        self.position = length;
        self.synced = length;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        Ok(self.push(bytes)?)
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(self.make_durable()?)
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        Ok(self.publish(head)?)
    }
}
