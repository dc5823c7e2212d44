//! A disk that dies at a given write, and loses what was not flushed.

use std::io;
use std::ops::Range;

use agent_qcow2::ImageUpdate;

enum Change {
    Write(u64, Vec<u8>),
    Punch(Range<u64>),
    Cut(u64),
}

pub(crate) struct Device {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Changes and flushes until it dies.
    left: usize,
}

impl Device {
    pub(crate) fn new(bytes: Vec<u8>, left: usize) -> Self {
        Self {
            durable: bytes,
            pending: Vec::new(),
            left,
        }
    }

    /// What lies on it if of the changes that were not flushed those remain that `keep` says, in this
    /// order.
    pub(crate) fn bytes(&self, keep: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (_, change) in self.pending.iter().enumerate().filter(|(n, _)| keep(*n)) {
            apply(&mut bytes, change);
        }
        bytes
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.live()?;
        self.pending.push(change);
        Ok(())
    }

    fn live(&mut self) -> io::Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other("it died")),
        }
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, new) => {
            let at = *offset as usize;
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        // It may be anything afterwards.
        Change::Punch(range) => bytes[range.start as usize..range.end as usize].fill(0xDD),
        Change::Cut(length) => bytes.truncate(*length as usize),
    }
}

impl ImageUpdate for Device {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes(|_| true);
        let range = offset as usize..offset as usize + buffer.len();
        let bytes = bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Write(offset, bytes.to_vec()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.live()?;
        self.durable = self.bytes(|_| true);
        self.pending.clear();
        Ok(())
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        self.change(Change::Punch(range))
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.change(Change::Cut(length))
    }

    fn size_bytes(&self) -> u64 {
        self.bytes(|_| true).len() as u64
    }
}
