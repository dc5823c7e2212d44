//! Reading an object: random reads as they are, whoever goes from front to back gets it ahead.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use agent_format::ObjectName;
use agent_qcow2::ReadAt;
use agent_target::{ErrorKind, Result, TargetError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::bucket::Opened;
use crate::error::{because, past_the_end};
use crate::read_ahead::{CHUNK_BYTES, Chunks, Plan, Readers};
use crate::target::Shared;

const OPERATION: &str = "read";

/// Reads one object, the one that had its name when it was opened.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    name: ObjectName,
    key: String,
    object: Opened,
    ahead: Mutex<Ahead>,
}

#[derive(Default)]
struct Ahead {
    readers: Readers,
    chunks: BTreeMap<u64, Fetched>,
}

/// A chunk that is fetched or has been; dropping it gives up on it.
struct Fetched {
    chunk: Arc<Chunk>,
    task: AbortHandle,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.task.abort();
        self.chunk.set(Err(because(
            ErrorKind::Other,
            OPERATION,
            "a chunk",
            "it was given up",
        )));
    }
}

/// Bytes that will come.
#[derive(Default)]
struct Chunk {
    state: Mutex<Option<Result<Vec<u8>>>>,
    is_set: Condvar,
}

impl Chunk {
    fn set(&self, result: Result<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.get_or_insert(result);
        self.is_set.notify_all();
    }

    /// Waits for the bytes and copies those at `offset`; whether there were any. What could not be
    /// fetched ahead is fetched again by who needs it, and that error is told.
    fn copy(&self, buffer: &mut [u8], offset: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                Some(Ok(bytes)) => {
                    let wanted = bytes
                        .get(offset..)
                        .and_then(|rest| rest.get(..buffer.len()));
                    if let Some(wanted) = wanted {
                        buffer.copy_from_slice(wanted);
                    }
                    return wanted.is_some();
                }
                Some(Err(_)) => return false,
                None => {
                    let woken = self.is_set.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, name: &ObjectName, object: Opened) -> Self {
        Self {
            key: shared.bucket.key(name),
            name: name.clone(),
            object,
            ahead: Mutex::default(),
            shared,
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the read, begins and forgets chunks; gives those that hold what is wanted.
    fn chunks_for(&self, offset: u64, length: u64) -> BTreeMap<u64, Arc<Chunk>> {
        let size_bytes = self.object.size_bytes;
        let most = self.shared.chunks_ahead();
        let mut ahead = self.ahead();
        let Plan { fetch, forget } = ahead.readers.note(offset, length, size_bytes, most);
        for chunks in forget {
            let mut kept = ahead.chunks.split_off(&chunks.start);
            let mut behind = kept.split_off(&chunks.end.max(chunks.start));
            ahead.chunks.append(&mut behind);
        }
        self.fetch(&mut ahead, fetch);
        let last = offset.saturating_add(length - 1) / CHUNK_BYTES;
        let wanted = ahead.chunks.range(offset / CHUNK_BYTES..=last);
        wanted
            .map(|(number, fetched)| (*number, fetched.chunk.clone()))
            .collect()
    }

    fn fetch(&self, ahead: &mut Ahead, chunks: Chunks) {
        for number in chunks {
            if ahead.chunks.contains_key(&number) {
                continue;
            }
            // All images of a target share the memory for this; without it they are read as asked.
            let Ok(permit) = self.shared.ahead.clone().try_acquire_owned() else {
                ahead.readers.not_fetched(number);
                return;
            };
            let chunk = Arc::new(Chunk::default());
            let task = self.shared.blocking.handle().spawn({
                let (shared, key) = (self.shared.clone(), self.key.clone());
                let (object, chunk) = (self.object.clone(), chunk.clone());
                async move {
                    let offset = number * CHUNK_BYTES;
                    let length = CHUNK_BYTES.min(object.size_bytes - offset);
                    let bucket = &shared.bucket;
                    let bytes = bucket.get_range(OPERATION, &key, &object, offset, length);
                    chunk.set(bytes.await);
                }
            });
            let fetched = Fetched {
                chunk,
                task: task.abort_handle(),
                _permit: permit,
            };
            ahead.chunks.insert(number, fetched);
        }
    }

    fn read_directly(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let (shared, key) = (self.shared.clone(), self.key.clone());
        let (object, length) = (self.object.clone(), buffer.len() as u64);
        let bytes = self.shared.blocking.run(async move {
            let bucket = &shared.bucket;
            let bytes = bucket.get_range(OPERATION, &key, &object, offset, length);
            bytes.await
        })?;
        buffer.copy_from_slice(&bytes);
        Ok(())
    }
}

impl ReadAt for Reader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.object.size_bytes) {
            return Err(past_the_end(self.name.as_str()));
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let chunks = self.chunks_for(offset, buffer.len() as u64);
        let (mut rest, mut at) = (buffer, offset);
        while !rest.is_empty() {
            let number = at / CHUNK_BYTES;
            let in_chunk = at % CHUNK_BYTES;
            let room = usize::try_from(CHUNK_BYTES - in_chunk).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(room.min(rest.len()));
            let chunk = chunks.get(&number);
            let skipped = usize::try_from(in_chunk).unwrap_or(usize::MAX);
            if !chunk.is_some_and(|chunk| chunk.copy(now, skipped)) {
                self.read_directly(now, at).map_err(|error| TargetError {
                    name: self.name.to_string(),
                    ..error
                })?;
            }
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.object.size_bytes
    }
}
