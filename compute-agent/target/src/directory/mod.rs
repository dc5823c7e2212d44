//! A target that is a folder, most often the mount point of an NFS share.
//!
//! A share that is not mounted leaves an empty folder on the local disk, which must never be taken
//! for the target: the root carries a marker, put there once by [`DirectoryTarget::initialise`], and
//! every call opens the root anew and looks for it before it goes on from that very handle. Nothing
//! below the root is reached through a symbolic link. No handle is kept between calls, so that
//! nothing but an open image keeps the share from being unmounted.
//!
//! Names that begin with a dot are ours: `.<name>.<unique>.tmp` (a small object being written),
//! `.<name>.partial` (an unfinished image), and the marker.

mod folder;
mod image;
mod listing;
mod small;
mod update;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use agent_format::ObjectName;
use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};
use folder::Folder;
use nix::sys::statvfs::fstatvfs;

use crate::{Capacity, ErrorKind, ObjectStat, Result, Target, TargetError};

const MARKER: &str = ".backstay-target";
const MARKER_TEXT: &[u8] = b"Backups of Backstay are kept below this folder.\n";
/// A folder that we need may be pruned between its making and its use; more often than this it is
/// not chance.
const ATTEMPTS: u32 = 16;

/// A folder as a target.
#[derive(Debug, Clone)]
pub struct DirectoryTarget {
    root: PathBuf,
}

impl DirectoryTarget {
    /// The target at `root`. Nothing is checked yet: a share may be mounted later.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Declares the existing folder `root` a target, once, by an operator who sees that the share is
    /// mounted. Doing it again is fine.
    pub fn initialise(root: impl Into<PathBuf>) -> Result<Self> {
        let target = Self::new(root);
        let operation = "initialise target";
        let root = target.open_unmarked(operation)?;
        if !target.has_marker(&root, operation)? {
            small::put(&root, MARKER, MARKER_TEXT).map_err(target.at_root(operation))?;
        }
        Ok(target)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at_root(&self, operation: &'static str) -> impl Fn(io::Error) -> TargetError {
        move |error| TargetError::from_io(operation, &self.root.to_string_lossy(), error)
    }

    fn open_unmarked(&self, operation: &'static str) -> Result<Folder> {
        Folder::open_root(&self.root).map_err(|error| {
            let mut error = self.at_root(operation)(error);
            if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Corrupt) {
                error.kind = ErrorKind::Unavailable;
            }
            error
        })
    }

    fn has_marker(&self, root: &Folder, operation: &'static str) -> Result<bool> {
        let marker = root.stat(MARKER).map_err(self.at_root(operation))?;
        Ok(marker.is_some_and(|marker| marker.is_file))
    }

    fn open_root(&self, operation: &'static str) -> Result<Folder> {
        let root = self.open_unmarked(operation)?;
        if self.has_marker(&root, operation)? {
            return Ok(root);
        }
        let why = format!("it has no {MARKER}: the share is not mounted, or it is no target yet");
        let name = self.root.to_string_lossy();
        Err(TargetError::new(
            ErrorKind::Unavailable,
            operation,
            &name,
            why,
        ))
    }

    /// Runs `step` in the existing folder of `name`; none if there is no such folder.
    fn in_folder<T>(
        &self,
        operation: &'static str,
        name: &ObjectName,
        step: impl FnOnce(&Folder, &str) -> io::Result<T>,
    ) -> Result<Option<T>> {
        let root = self.open_root(operation)?;
        let result = match root.descend(folders_of(name)) {
            Ok(Some(folder)) => step(&folder, name.file_name()).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        result.map_err(|error| TargetError::from_io(operation, name.as_str(), error))
    }

    /// Runs `step` in the folder of `name`, made if it is missing.
    fn in_new_folder<T>(
        &self,
        operation: &'static str,
        name: &ObjectName,
        step: impl Fn(Folder, &str) -> io::Result<T>,
    ) -> Result<T> {
        let root = self.open_root(operation)?;
        let attempt = || step(root.descend_making(folders_of(name))?, name.file_name());
        let mut result = attempt();
        for _ in 1..ATTEMPTS {
            match &result {
                Err(error) if error.kind() == io::ErrorKind::NotFound => result = attempt(),
                _ => break,
            }
        }
        result.map_err(|error| TargetError::from_io(operation, name.as_str(), error))
    }

    fn open_object(&self, operation: &'static str, name: &ObjectName) -> Result<(File, u64)> {
        self.in_folder(operation, name, |folder, file| folder.open_file(file))?
            .ok_or_else(|| TargetError::bare(ErrorKind::NotFound, operation, name.as_str()))
    }

    /// Removes the folders of `name` that have become empty, from the innermost outwards.
    fn prune(&self, operation: &'static str, name: &ObjectName) -> Result<()> {
        let mut folder = name.folder();
        while let Some(empty) = folder {
            let removed = self.in_folder(operation, &empty, |parent, file| {
                parent.remove_empty_folder(file)
            })?;
            if removed == Some(false) {
                break;
            }
            folder = empty.folder();
        }
        Ok(())
    }
}

fn folders_of(name: &ObjectName) -> impl Iterator<Item = &str> {
    let folders = name.parts().count() - 1;
    name.parts().take(folders)
}

impl Target for DirectoryTarget {
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.in_new_folder("write object", name, |folder, file| {
            small::put(&folder, file, bytes)
        })
    }

    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>> {
        let operation = "read object";
        let (file, size_bytes) = self.open_object(operation, name)?;
        if size_bytes > limit_bytes {
            let why = format!("it has {size_bytes} bytes, at most {limit_bytes} were expected");
            return Err(TargetError::new(
                ErrorKind::Corrupt,
                operation,
                name.as_str(),
                why,
            ));
        }
        small::get(file, limit_bytes)
            .map_err(|error| TargetError::from_io(operation, name.as_str(), error))
    }

    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>> {
        let operation = "list objects";
        let root = self.open_root(operation)?;
        let listed = match folder {
            None => listing::below(&root, None),
            Some(name) => match root.descend(name.parts()) {
                Ok(Some(folder)) => listing::below(&folder, Some(name)),
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error),
            },
        };
        listed.map_err(|error| {
            let name = folder.map_or_else(|| self.root.to_string_lossy(), |f| f.as_str().into());
            TargetError::from_io(operation, &name, error)
        })
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let operation = "delete object";
        self.in_folder(operation, name, |folder, file| folder.remove_file(file))?;
        self.prune(operation, name)
    }

    fn delete_folder(&self, folder: &ObjectName) -> Result<()> {
        let operation = "delete folder";
        self.in_folder(operation, folder, |parent, file| parent.remove_all(file))?;
        self.prune(operation, folder)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>> {
        let found = self.in_folder("look up object", name, |folder, file| folder.stat(file))?;
        Ok(found
            .flatten()
            .filter(|stat| stat.is_file)
            .map(|stat| ObjectStat {
                name: name.clone(),
                size_bytes: stat.size_bytes,
            }))
    }

    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>> {
        let operation = "open image";
        let reader = self.in_folder(operation, name, |folder, file| {
            image::Reader::open(folder, file, name)
        })?;
        match reader {
            Some(reader) => Ok(Box::new(reader)),
            None => Err(TargetError::bare(
                ErrorKind::NotFound,
                operation,
                name.as_str(),
            )),
        }
    }

    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>> {
        let sink = match resume {
            None => self.in_new_folder("create image", name, |folder, file| {
                image::Sink::create(folder, file, name)
            })?,
            Some(length) => {
                let operation = "resume image";
                let root = self.open_root(operation)?;
                let folder = root.descend(folders_of(name));
                let sink = folder.and_then(|folder| {
                    let folder = folder.ok_or(io::ErrorKind::NotFound)?;
                    image::Sink::resume(folder, name.file_name(), name, length)
                });
                sink.map_err(|error| TargetError::from_io(operation, name.as_str(), error))?
            }
        };
        Ok(Box::new(sink))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        let operation = "abandon image";
        self.in_folder(operation, name, |folder, file| {
            folder.remove_file(image::partial_name(file))
        })?;
        self.prune(operation, name)
    }

    fn update_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageUpdate>>> {
        let operation = "update image";
        let file = self.in_folder(operation, name, |folder, file| {
            update::Update::open(folder, file, name)
        })?;
        let file =
            file.ok_or_else(|| TargetError::bare(ErrorKind::NotFound, operation, name.as_str()))?;
        Ok(Some(Box::new(file)))
    }

    fn rename_image(&self, from: &ObjectName, to: &ObjectName) -> Result<()> {
        let operation = "rename image";
        if self.stat(from)?.is_none() {
            return Err(TargetError::bare(
                ErrorKind::NotFound,
                operation,
                from.as_str(),
            ));
        }
        self.in_new_folder(operation, to, |folder, file| {
            let root = self.open_root(operation)?;
            let source = root.descend(folders_of(from))?;
            let source = source.ok_or(io::ErrorKind::NotFound)?;
            source.rename_into(from.file_name(), &folder, file)
        })?;
        self.prune(operation, from)
    }

    fn capacity(&self) -> Result<Option<Capacity>> {
        let operation = "measure target";
        let root = self.open_root(operation)?;
        let stat = fstatvfs(root.as_fd()).map_err(|errno| self.at_root(operation)(errno.into()))?;
        let unit = stat.fragment_size();
        Ok(Some(Capacity {
            total_bytes: stat.blocks().saturating_mul(unit),
            free_bytes: stat.blocks_available().saturating_mul(unit),
        }))
    }

    fn check_writable(&self) -> Result<()> {
        let operation = "write to target";
        let root = self.open_root(operation)?;
        small::write_and_remove(&root).map_err(self.at_root(operation))
    }
}

#[cfg(test)]
mod tests;
