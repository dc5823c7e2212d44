//! A target in memory, for tests of what uses targets.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ReadAt};

use crate::error::annotated;
use crate::{Capacity, ErrorKind, ObjectStat, Result, Target, TargetError};

/// Objects in memory; a clone is the same target.
///
/// Like a host that loses power, it forgets of an unfinished image what was not synced before its
/// sink was dropped.
#[derive(Debug, Clone, Default)]
pub struct MemoryTarget {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectName, Arc<Vec<u8>>>,
    partials: BTreeMap<ObjectName, Vec<u8>>,
}

impl MemoryTarget {
    /// An empty target.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, operation: &'static str, name: &ObjectName) -> Result<Arc<Vec<u8>>> {
        let found = self.lock().objects.get(name).cloned();
        found.ok_or_else(|| TargetError::bare(ErrorKind::NotFound, operation, name.as_str()))
    }
}

impl Target for MemoryTarget {
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.lock()
            .objects
            .insert(name.clone(), Arc::new(bytes.to_vec()));
        Ok(())
    }

    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>> {
        let operation = "read object";
        let object = self.object(operation, name)?;
        if object.len() as u64 > limit_bytes {
            return Err(TargetError::bare(
                ErrorKind::Corrupt,
                operation,
                name.as_str(),
            ));
        }
        Ok(object.to_vec())
    }

    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>> {
        let state = self.lock();
        let objects = state.objects.iter();
        let below = objects.filter(|(name, _)| folder.is_none_or(|folder| name.is_below(folder)));
        let stats = below.map(|(name, bytes)| ObjectStat {
            name: name.clone(),
            size_bytes: bytes.len() as u64,
        });
        Ok(stats.collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.lock().objects.remove(name);
        Ok(())
    }

    fn delete_folder(&self, folder: &ObjectName) -> Result<()> {
        let mut state = self.lock();
        state.objects.retain(|name, _| !name.is_below(folder));
        state.partials.retain(|name, _| !name.is_below(folder));
        Ok(())
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>> {
        let state = self.lock();
        let bytes = state.objects.get(name);
        Ok(bytes.map(|b| ObjectStat {
            name: name.clone(),
            size_bytes: b.len() as u64,
        }))
    }

    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>> {
        let bytes = self.object("open image", name)?;
        Ok(Box::new(Reader {
            bytes,
            name: name.clone(),
        }))
    }

    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>> {
        let mut state = self.lock();
        let refuse = |kind| TargetError::bare(kind, "resume image", name.as_str());
        let bytes = match resume {
            None => Vec::new(),
            Some(length) => {
                let mut bytes = state.partials.get(name).cloned();
                let bytes = bytes.take().ok_or_else(|| refuse(ErrorKind::NotFound))?;
                let length = usize::try_from(length).map_err(|_| refuse(ErrorKind::Corrupt))?;
                let kept = bytes
                    .get(..length)
                    .ok_or_else(|| refuse(ErrorKind::Corrupt))?;
                kept.to_vec()
            }
        };
        state.partials.insert(name.clone(), bytes.clone());
        Ok(Box::new(Sink {
            target: self.clone(),
            name: name.clone(),
            bytes,
        }))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        self.lock().partials.remove(name);
        Ok(())
    }

    fn capacity(&self) -> Result<Option<Capacity>> {
        Ok(None)
    }

    fn check_writable(&self) -> Result<()> {
        Ok(())
    }
}

struct Sink {
    target: MemoryTarget,
    name: ObjectName,
    bytes: Vec<u8>,
}

impl ImageSink for Sink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.bytes.resize(length, 0);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend(bytes);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn sync(&mut self) -> io::Result<()> {
        self.target
            .lock()
            .partials
            .insert(self.name.clone(), self.bytes.clone());
        Ok(())
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        match bytes.get_mut(..head.len()) {
            Some(reserved) => reserved.copy_from_slice(head),
            None => {
                return Err(io::Error::other(
                    "the head is longer than what was reserved",
                ));
            }
        }
        let mut state = self.target.lock();
        state.partials.remove(&self.name);
        state.objects.insert(self.name.clone(), Arc::new(bytes));
        Ok(())
    }
}

struct Reader {
    bytes: Arc<Vec<u8>>,
    name: ObjectName,
}

impl ReadAt for Reader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes
            .read_exact_at(buffer, offset)
            .map_err(|error| annotated("read", self.name.as_str(), error))
    }

    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract() {
        crate::conformance::run(|| (MemoryTarget::new(), ()));
    }
}
