//! A target that fails when it is told to: what uses targets is tested with it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};

use crate::{
    Capabilities, Capacity, ErrorKind, ImageComposition, ObjectStat, Result, Retention, Target,
    TargetError,
};

/// The calls that can be made to fail, those of opened images and sinks included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Operation {
    PutObject,
    GetObject,
    List,
    Delete,
    DeleteFolder,
    Stat,
    OpenImage,
    ReadImage,
    CreateImage,
    ReserveHead,
    Append,
    Sync,
    Finish,
    AbandonImage,
    UpdateImage,
    WriteImage,
    SyncUpdate,
    Punch,
    Cut,
    RenameImage,
    ComposeImage,
    AppendCopy,
    Capacity,
    CheckWritable,
}

/// When to fail, and how.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Only these calls are counted and fail; all if none is given.
    pub operation: Option<Operation>,
    /// The first call that fails, counted from 1.
    pub call: u64,
    /// What it says.
    pub kind: ErrorKind,
    /// Whether all later ones fail too: the target has gone, and not only hiccuped.
    pub is_lasting: bool,
}

/// Another target, with one fault. A failing call does nothing to the other target.
#[derive(Debug)]
pub struct FaultyTarget<T> {
    inner: T,
    trigger: Arc<Trigger>,
}

#[derive(Debug)]
struct Trigger {
    fault: Fault,
    calls: AtomicU64,
}

impl Trigger {
    fn pull(&self, operation: Operation, name: &str) -> Result<()> {
        if self.fault.operation.is_some_and(|only| only != operation) {
            return Ok(());
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.fault.call || (self.fault.is_lasting && call > self.fault.call) {
            let why = format!("made to fail at {operation:?}, call {call}");
            return Err(TargetError::new(self.fault.kind, "use", name, why));
        }
        Ok(())
    }
}

impl<T> FaultyTarget<T> {
    /// `inner`, failing as `fault` says.
    pub fn new(inner: T, fault: Fault) -> Self {
        Self {
            inner,
            trigger: Arc::new(Trigger {
                fault,
                calls: AtomicU64::new(0),
            }),
        }
    }

    /// How many calls were counted so far: with a fault that never comes, how many there are to
    /// make fail.
    pub fn calls(&self) -> u64 {
        self.trigger.calls.load(Ordering::SeqCst)
    }
}

impl<T: Target> Target for FaultyTarget<T> {
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.trigger.pull(Operation::PutObject, name.as_str())?;
        self.inner.put_object(name, bytes)
    }

    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>> {
        self.trigger.pull(Operation::GetObject, name.as_str())?;
        self.inner.get_object(name, limit_bytes)
    }

    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>> {
        self.trigger
            .pull(Operation::List, folder.map_or("", ObjectName::as_str))?;
        self.inner.list(folder)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.trigger.pull(Operation::Delete, name.as_str())?;
        self.inner.delete(name)
    }

    fn delete_folder(&self, folder: &ObjectName) -> Result<()> {
        self.trigger
            .pull(Operation::DeleteFolder, folder.as_str())?;
        self.inner.delete_folder(folder)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>> {
        self.trigger.pull(Operation::Stat, name.as_str())?;
        self.inner.stat(name)
    }

    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>> {
        self.trigger.pull(Operation::OpenImage, name.as_str())?;
        let inner = self.inner.open_image(name)?;
        Ok(Box::new(FaultyImage {
            inner,
            name: name.clone(),
            trigger: Arc::clone(&self.trigger),
        }))
    }

    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>> {
        self.trigger.pull(Operation::CreateImage, name.as_str())?;
        let inner = self.inner.create_image(name, resume)?;
        Ok(Box::new(FaultyImage {
            inner,
            name: name.clone(),
            trigger: Arc::clone(&self.trigger),
        }))
    }

    fn create_image_up_to(&self, name: &ObjectName, most_bytes: u64) -> Result<Box<dyn ImageSink>> {
        self.trigger.pull(Operation::CreateImage, name.as_str())?;
        let inner = self.inner.create_image_up_to(name, most_bytes)?;
        Ok(Box::new(FaultyImage {
            inner,
            name: name.clone(),
            trigger: Arc::clone(&self.trigger),
        }))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        self.trigger.pull(Operation::AbandonImage, name.as_str())?;
        self.inner.abandon_image(name)
    }

    fn update_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageUpdate>>> {
        self.trigger.pull(Operation::UpdateImage, name.as_str())?;
        let Some(inner) = self.inner.update_image(name)? else {
            return Ok(None);
        };
        Ok(Some(Box::new(FaultyImage {
            inner,
            name: name.clone(),
            trigger: Arc::clone(&self.trigger),
        })))
    }

    fn rename_image(&self, from: &ObjectName, to: &ObjectName) -> Result<()> {
        self.trigger.pull(Operation::RenameImage, from.as_str())?;
        self.inner.rename_image(from, to)
    }

    fn compose_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageComposition>>> {
        self.trigger.pull(Operation::ComposeImage, name.as_str())?;
        let Some(inner) = self.inner.compose_image(name)? else {
            return Ok(None);
        };
        Ok(Some(Box::new(FaultyImage {
            inner,
            name: name.clone(),
            trigger: Arc::clone(&self.trigger),
        })))
    }

    fn capacity(&self) -> Result<Option<Capacity>> {
        self.trigger.pull(Operation::Capacity, "")?;
        self.inner.capacity()
    }

    fn check_writable(&self) -> Result<()> {
        self.trigger.pull(Operation::CheckWritable, "")?;
        self.inner.check_writable()
    }

    fn capabilities(&self) -> Result<Capabilities> {
        self.inner.capabilities()
    }

    fn retention(&self) -> Option<&dyn Retention> {
        self.inner.retention()
    }
}

/// An opened image or a sink of a faulty target.
struct FaultyImage<I> {
    inner: I,
    name: ObjectName,
    trigger: Arc<Trigger>,
}

impl<I> FaultyImage<I> {
    fn pull(&self, operation: Operation) -> io::Result<()> {
        self.trigger
            .pull(operation, self.name.as_str())
            .map_err(Into::into)
    }
}

impl ReadAt for FaultyImage<Box<dyn ReadAt>> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.pull(Operation::ReadImage)?;
        self.inner.read_exact_at(buffer, offset)
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }
}

impl ImageUpdate for FaultyImage<Box<dyn ImageUpdate>> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.pull(Operation::ReadImage)?;
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.pull(Operation::WriteImage)?;
        self.inner.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.pull(Operation::SyncUpdate)?;
        self.inner.sync()
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        self.pull(Operation::Punch)?;
        self.inner.punch(range)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.pull(Operation::Cut)?;
        self.inner.cut(length)
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }
}

impl ImageComposition for FaultyImage<Box<dyn ImageComposition>> {
    fn append_copy(&mut self, source: &ObjectName, range: Range<u64>) -> io::Result<()> {
        self.pull(Operation::AppendCopy)?;
        self.inner.append_copy(source, range)
    }
}

impl<S: ImageSink + ?Sized> ImageSink for FaultyImage<Box<S>> {
    fn head_minimum_bytes(&self) -> u64 {
        self.inner.head_minimum_bytes()
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.pull(Operation::ReserveHead)?;
        self.inner.reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pull(Operation::Append)?;
        self.inner.append(bytes)
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.pull(Operation::Sync)?;
        self.inner.sync()
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.pull(Operation::Finish)?;
        self.inner.finish(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryTarget;

    const NEVER: Fault = Fault {
        operation: None,
        call: u64::MAX,
        kind: ErrorKind::Other,
        is_lasting: false,
    };

    fn name() -> ObjectName {
        ObjectName::new("w/a").unwrap()
    }

    #[test]
    fn without_its_fault_it_keeps_the_contract() {
        crate::conformance::run(|| (FaultyTarget::new(MemoryTarget::new(), NEVER), ()));
        let like_s3 = || MemoryTarget::new().without_updates();
        crate::conformance::run(|| (FaultyTarget::new(like_s3(), NEVER), ()));
    }

    #[test]
    fn only_the_chosen_call_fails_and_does_nothing() {
        let operation = Some(Operation::PutObject);
        let fault = Fault {
            operation,
            call: 2,
            kind: ErrorKind::Full,
            ..NEVER
        };
        let target = FaultyTarget::new(MemoryTarget::new(), fault);
        target.put_object(&name(), b"1").unwrap();
        assert_eq!(
            target.put_object(&name(), b"2").unwrap_err().kind,
            ErrorKind::Full
        );
        assert_eq!(target.get_object(&name(), 9).unwrap(), b"1");
        target.put_object(&name(), b"3").unwrap();
        assert_eq!(target.calls(), 3);
    }

    #[test]
    fn a_lasting_fault_stays_and_reaches_open_sinks() {
        let fault = Fault {
            call: 3,
            kind: ErrorKind::Unavailable,
            is_lasting: true,
            ..NEVER
        };
        let target = FaultyTarget::new(MemoryTarget::new(), fault);
        let mut sink = target.create_image(&name(), None).unwrap();
        sink.append(b"1").unwrap();
        for _ in 0..2 {
            let error = sink.append(b"2").unwrap_err();
            assert_eq!(ErrorKind::of(&error), ErrorKind::Unavailable);
        }
        assert_eq!(
            target.stat(&name()).unwrap_err().kind,
            ErrorKind::Unavailable
        );
    }
}
