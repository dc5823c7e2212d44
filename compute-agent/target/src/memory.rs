//! A target in memory, for tests of what uses targets.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};

use crate::error::annotated;
use crate::{Capacity, ErrorKind, ImageComposition, ObjectStat, Result, Target, TargetError};

/// Objects in memory; a clone is the same target.
///
/// Like a host that loses power, it forgets of an unfinished image, and of an update, what was not
/// synced before it was dropped.
#[derive(Debug, Clone)]
pub struct MemoryTarget {
    state: Arc<Mutex<State>>,
    can_update: bool,
    can_compose: bool,
}

impl Default for MemoryTarget {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            can_update: true,
            can_compose: true,
        }
    }
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

    /// The same objects, whose images cannot be updated or renamed: like S3.
    #[must_use]
    pub fn without_updates(mut self) -> Self {
        self.can_update = false;
        self
    }

    /// The same objects, which are not copied into new ones.
    #[must_use]
    pub fn without_compositions(mut self) -> Self {
        self.can_compose = false;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sink(&self, name: &ObjectName, bytes: Vec<u8>) -> Sink {
        Sink {
            target: self.clone(),
            name: name.clone(),
            bytes,
        }
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
        Ok(Box::new(self.sink(name, bytes)))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        self.lock().partials.remove(name);
        Ok(())
    }

    fn update_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageUpdate>>> {
        if !self.can_update {
            return Ok(None);
        }
        let bytes = self.object("update image", name)?.to_vec();
        Ok(Some(Box::new(Update {
            target: self.clone(),
            name: name.clone(),
            bytes,
        })))
    }

    fn rename_image(&self, from: &ObjectName, to: &ObjectName) -> Result<()> {
        let refuse = |kind| TargetError::bare(kind, "rename image", from.as_str());
        if !self.can_update {
            return Err(refuse(ErrorKind::Other));
        }
        let mut state = self.lock();
        let object = state.objects.remove(from);
        let object = object.ok_or_else(|| refuse(ErrorKind::NotFound))?;
        state.objects.insert(to.clone(), object);
        Ok(())
    }

    fn compose_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageComposition>>> {
        if !self.can_compose {
            return Ok(None);
        }
        self.lock().partials.insert(name.clone(), Vec::new());
        Ok(Some(Box::new(self.sink(name, Vec::new()))))
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

impl ImageComposition for Sink {
    fn append_copy(&mut self, source: &ObjectName, range: Range<u64>) -> io::Result<()> {
        let object = self.target.object("copy from image", source)?;
        let length = range.end.checked_sub(range.start);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        object
            .read_exact_at(&mut bytes, range.start)
            .map_err(|error| annotated("copy from image", source.as_str(), error))?;
        self.append(&bytes)
    }
}

struct Update {
    target: MemoryTarget,
    name: ObjectName,
    bytes: Vec<u8>,
}

impl ImageUpdate for Update {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buffer, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let end = from + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        if let Some(range) = self.bytes.get_mut(from..end) {
            range.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.target.lock();
        let object = state.objects.get_mut(&self.name);
        *object.ok_or(io::ErrorKind::NotFound)? = Arc::new(self.bytes.clone());
        Ok(())
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.bytes.len() as u64);
        let from = usize::try_from(range.start).map_err(io::Error::other)?;
        let end = usize::try_from(end).map_err(io::Error::other)?;
        if let Some(range) = self.bytes.get_mut(from..end) {
            range.fill(0);
        }
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.bytes.truncate(length);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
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
        crate::conformance::run(|| (MemoryTarget::new().without_updates(), ()));
        crate::conformance::run(|| (MemoryTarget::new().without_compositions(), ()));
    }
}
