//! A target that is an NFS export: a folder that is mounted when it is first needed, and again when it
//! has gone.
//!
//! The export is mounted at `<root>/<base64 of the export>`, as the layout that operators know has it.
//! Mounting is the work of mount(8), reached by a command that an operator may precede by `sudo`.
//! Whether it is the right share, [`DirectoryTarget`] sees by its marker.

mod command;
mod mount;
mod mountinfo;

use std::sync::Arc;

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};
pub use mount::{MountSettings, NfsExport};

use self::mount::Mount;
use crate::{
    Capabilities, Capacity, DirectoryTarget, ErrorKind, ImageComposition, ObjectStat, Result,
    Target,
};

/// An NFS export as a target.
#[derive(Debug, Clone)]
pub struct NfsTarget {
    directory: DirectoryTarget,
    mount: Arc<Mount>,
}

impl NfsTarget {
    /// The target at `export`. Nothing is mounted yet.
    pub fn new(export: NfsExport, settings: MountSettings) -> Self {
        let mount = Mount::new(export, settings);
        Self {
            directory: DirectoryTarget::new(mount.point()),
            mount: Arc::new(mount),
        }
    }

    /// Mounts the export and declares it a target, once, by an operator.
    pub fn initialise(export: NfsExport, settings: MountSettings) -> Result<Self> {
        let target = Self::new(export, settings);
        target.mount.ensure(target.mount.times())?;
        DirectoryTarget::initialise(target.directory.root())?;
        Ok(target)
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &std::path::Path {
        self.directory.root()
    }

    /// Does it on the mounted share; a share that is not there is mounted, and asked once more.
    fn on_share<T>(&self, call: impl Fn(&DirectoryTarget) -> Result<T>) -> Result<T> {
        let seen = self.mount.times();
        match call(&self.directory) {
            Err(error) if error.kind == ErrorKind::Unavailable => {
                if self.mount.ensure(seen)? {
                    call(&self.directory)
                } else {
                    Err(error)
                }
            }
            result => result,
        }
    }
}

impl Target for NfsTarget {
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.on_share(|share| share.put_object(name, bytes))
    }

    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>> {
        self.on_share(|share| share.get_object(name, limit_bytes))
    }

    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>> {
        self.on_share(|share| share.list(folder))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.on_share(|share| share.delete(name))
    }

    fn delete_folder(&self, folder: &ObjectName) -> Result<()> {
        self.on_share(|share| share.delete_folder(folder))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>> {
        self.on_share(|share| share.stat(name))
    }

    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>> {
        self.on_share(|share| share.open_image(name))
    }

    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>> {
        self.on_share(|share| share.create_image(name, resume))
    }

    fn create_image_up_to(&self, name: &ObjectName, most_bytes: u64) -> Result<Box<dyn ImageSink>> {
        self.on_share(|share| share.create_image_up_to(name, most_bytes))
    }

    fn update_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageUpdate>>> {
        self.on_share(|share| share.update_image(name))
    }

    fn rename_image(&self, from: &ObjectName, to: &ObjectName) -> Result<()> {
        self.on_share(|share| share.rename_image(from, to))
    }

    fn compose_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageComposition>>> {
        self.on_share(|share| share.compose_image(name))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        self.on_share(|share| share.abandon_image(name))
    }

    fn capacity(&self) -> Result<Option<Capacity>> {
        self.on_share(Target::capacity)
    }

    fn check_writable(&self) -> Result<()> {
        self.on_share(Target::check_writable)
    }

    fn capabilities(&self) -> Result<Capabilities> {
        self.directory.capabilities()
    }
}

#[cfg(test)]
mod tests;
