//! Memory for parts, used again and again: giving it back to the system and getting it anew costs as
//! much as a tenth of sending it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

type Free = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) struct Buffers {
    free: Free,
    most: usize,
}

impl Buffers {
    pub(super) fn new(most: usize) -> Self {
        Self {
            free: Free::default(),
            most,
        }
    }

    /// An empty buffer for `length` bytes. Memory that is not written to is not used.
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_else(|| Vec::with_capacity(length))
    }

    /// A buffer as bytes, which gives itself back when nobody needs them any more.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            buffer,
            free: self.free.clone(),
            most: self.most,
        })
    }
}

struct Lent {
    buffer: Vec<u8>,
    free: Free,
    most: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            free.push(buffer);
        }
    }
}
