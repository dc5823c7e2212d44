//! An open folder; what is in it is reached by name from its handle, never through a link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Backups are no business of other users; who of the group may see them is for the umask to say.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o660);
const FOLDER_MODE: Mode = Mode::from_bits_truncate(0o770);

#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// What stands under a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) is_file: bool,
    pub(super) is_folder: bool,
    pub(super) size_bytes: u64,
    pub(super) inode: u64,
}

impl From<FileStat> for Entry {
    fn from(stat: FileStat) -> Self {
        let kind = stat.st_mode & SFlag::S_IFMT.bits();
        Self {
            is_file: kind == SFlag::S_IFREG.bits(),
            is_folder: kind == SFlag::S_IFDIR.bits(),
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            inode: stat.st_ino,
        }
    }
}

impl Folder {
    /// The root itself may be reached through links: it is what the operator configured.
    pub(super) fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(nix::fcntl::open(path, flags, Mode::empty())?))
    }

    /// The folder below that, or none if a part of the way is missing.
    pub(super) fn descend<'n>(
        &self,
        parts: impl Iterator<Item = &'n str>,
    ) -> io::Result<Option<Self>> {
        let mut at = self.duplicate()?;
        for part in parts {
            match at.open_folder(part) {
                Ok(next) => at = next,
                Err(Errno::ENOENT) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Some(at))
    }

    /// The same, with the missing parts made. `NotFound` if one is removed at the same time.
    pub(super) fn descend_making<'n>(
        &self,
        parts: impl Iterator<Item = &'n str>,
    ) -> io::Result<Self> {
        let mut at = self.duplicate()?;
        for part in parts {
            let next = match at.open_folder(part) {
                Err(Errno::ENOENT) => {
                    match mkdirat(&at, part, FOLDER_MODE) {
                        Ok(()) => at.sync()?,
                        Err(Errno::EEXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    at.open_folder(part)
                }
                other => other,
            };
            at = next?;
        }
        Ok(at)
    }

    fn duplicate(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    fn open_folder(&self, name: impl AsRef<OsStr>) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.0, name.as_ref(), flags, Mode::empty()).map(Self)
    }

    /// Opens a file for reading; its length is the one it has now.
    pub(super) fn open_file(&self, name: &str) -> io::Result<(File, u64)> {
        // A named pipe must not hold us.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Errno::EISDIR.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not a file",
            ));
        }
        Ok((file, metadata.len()))
    }

    /// Makes a file that must not exist.
    pub(super) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.0, name, flags, FILE_MODE)?.into())
    }

    /// Opens an existing file for writing.
    pub(super) fn reopen_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not a file",
            ));
        }
        Ok(file)
    }

    pub(super) fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Entry>> {
        match fstatat(&self.0, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives a file its final name, over whatever has it, durably.
    pub(super) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&self.0, from, &self.0, to)?;
        self.sync()
    }

    /// Gives a file a name in another folder, over whatever has it, durably.
    pub(super) fn rename_into(&self, from: &str, folder: &Self, to: &str) -> io::Result<()> {
        renameat(&self.0, from, &folder.0, to)?;
        // The new name first: should we lose power between the two, there may be both, never none.
        folder.sync()?;
        self.sync()
    }

    /// Makes names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        nix::unistd::fsync(&self.0).map_err(Into::into)
    }

    /// Makes the removal of something in here durable. Emptied, this folder may be removed by somebody else
    /// meanwhile, and file systems that look it up again (FUSE) do not find it: then it is their removal
    /// that has to be durable.
    fn sync_removal(&self) -> io::Result<()> {
        match self.sync() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced,
        }
    }

    /// Removes a file durably; none is fine.
    pub(super) fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        match unlinkat(&self.0, name.as_ref(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => self.sync_removal(),
            Err(Errno::ENOENT) => Ok(()),
            // A read-only file system says so before it looks whether there is anything to remove.
            Err(Errno::EROFS) if self.stat(name.as_ref())?.is_none() => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes a folder if it is empty: false if it is not, true also if it is not there.
    pub(super) fn remove_empty_folder(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.0, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => self.sync_removal().map(|()| true),
            Err(Errno::ENOENT) => Ok(true),
            // Nothing can be tidied there, which is no reason to fail.
            Err(Errno::EROFS) => Ok(self.stat(name)?.is_none()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EBUSY) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes whatever has that name and all below it; nothing is fine.
    pub(super) fn remove_all(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        match self.stat(name)? {
            None => return Ok(()),
            Some(entry) if entry.is_folder => {}
            Some(_) => return self.remove_file(name),
        }
        match self.open_folder(name) {
            Ok(folder) => folder
                .names()?
                .iter()
                .try_for_each(|name| folder.remove_all(name))?,
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        // With something new in it, it stays: the caller is not alone, and is told.
        match unlinkat(&self.0, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => self.sync(),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The names in it, ours with a dot and others' included.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        // The position in a folder belongs to the handle: list from one of its own.
        let mut dir = Dir::from_fd(self.open_folder(".")?.0)?;
        let mut names = Vec::new();
        for entry in dir.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
