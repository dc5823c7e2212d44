//! The calls, passed through. Nothing is cached by the kernel, so that every call arrives.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use nix::sys::statvfs::statvfs;

use crate::faults::{Call, Faults};
use crate::paths::Paths;

const UNCACHED: Duration = Duration::ZERO;
const FIRST: Generation = Generation(0);

#[derive(Debug)]
pub(crate) struct PassThrough {
    faults: Arc<Faults>,
    paths: Paths,
    files: Mutex<HashMap<u64, Arc<File>>>,
    next_handle: AtomicU64,
}

type Answer<T> = Result<T, Errno>;

impl PassThrough {
    pub(crate) fn new(backing: &Path, faults: Arc<Faults>) -> Self {
        Self {
            faults,
            paths: Paths::new(backing),
            files: Mutex::default(),
            next_handle: AtomicU64::new(1),
        }
    }

    fn path(&self, call: Call, inode: INodeNo) -> Answer<PathBuf> {
        let path = self.paths.get(inode).ok_or(Errno::ESTALE)?;
        self.faults.check(call, &path)?;
        Ok(path)
    }

    fn child(&self, call: Call, parent: INodeNo, name: &OsStr) -> Answer<PathBuf> {
        let path = self.paths.child(parent, name).ok_or(Errno::ESTALE)?;
        self.faults.check(call, &path)?;
        Ok(path)
    }

    /// The open file of a handle; its path only tells the rules what it is about.
    fn file(&self, call: Call, inode: INodeNo, handle: FileHandle) -> Answer<Arc<File>> {
        let path = self.paths.get(inode).unwrap_or_default();
        self.faults.check(call, &path)?;
        self.files().get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn keep(&self, file: File) -> FileHandle {
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        self.files().insert(handle, Arc::new(file));
        FileHandle(handle)
    }

    fn files(&self) -> MutexGuard<'_, HashMap<u64, Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, path: PathBuf) -> io::Result<FileAttr> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(attributes_of(self.paths.number(path), &metadata))
    }

    fn make_file(
        &self,
        path: PathBuf,
        mode: u32,
        flags: i32,
    ) -> io::Result<(FileAttr, FileHandle)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(mode);
        if flags & nix::fcntl::OFlag::O_EXCL.bits() != 0 {
            options.create_new(true);
        }
        let file = options.open(&path)?;
        Ok((self.attributes(path)?, self.keep(file)))
    }

    fn resize(&self, path: PathBuf, size: Option<u64>, mode: Option<u32>) -> io::Result<FileAttr> {
        if let Some(size) = size {
            OpenOptions::new().write(true).open(&path)?.set_len(size)?;
        }
        if let Some(mode) = mode {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        self.attributes(path)
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(u64, FileType, std::ffi::OsString)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            entries.push((metadata.ino(), kind_of(&metadata), entry.file_name()));
        }
        Ok(entries)
    }
}

fn kind_of(metadata: &Metadata) -> FileType {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => FileType::Directory,
        () if kind.is_symlink() => FileType::Symlink,
        () if kind.is_fifo() => FileType::NamedPipe,
        () if kind.is_socket() => FileType::Socket,
        () => FileType::RegularFile,
    }
}

fn attributes_of(ino: INodeNo, metadata: &Metadata) -> FileAttr {
    let time = |seconds: i64, nanos: i64| -> SystemTime {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        UNIX_EPOCH + Duration::new(seconds, u32::try_from(nanos).unwrap_or_default())
    };
    FileAttr {
        ino,
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind_of(metadata),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Answers a call: with what it came to, or with its error.
macro_rules! answer {
    ($reply:ident, $result:expr, |$value:pat_param| $good:expr) => {
        match $result {
            Ok($value) => $good,
            Err(error) => $reply.error(Errno::from(error)),
        }
    };
}

impl Filesystem for PassThrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let path = self.child(Call::Look, parent, name);
        let found = path.and_then(|path| Ok(self.attributes(path)?));
        answer!(reply, found, |found| reply.entry(&UNCACHED, &found, FIRST));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        // A file that was unlinked or replaced is still there for who has it open.
        let opened = fh.and_then(|fh| self.files().get(&fh.0).cloned());
        let path = self.path(Call::Look, ino);
        let found = path.and_then(|path| match opened {
            Some(file) => Ok(attributes_of(ino, &file.metadata()?)),
            None => Ok(self.attributes(path)?),
        });
        answer!(reply, found, |found| reply.attr(&UNCACHED, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let path = self.path(Call::Write, ino);
        let opened = fh.and_then(|fh| self.files().get(&fh.0).cloned());
        let changed = path.and_then(|path| match (opened, size) {
            (Some(file), Some(size)) => {
                file.set_len(size)?;
                Ok(attributes_of(ino, &file.metadata()?))
            }
            _ => Ok(self.resize(path, size, mode)?),
        });
        answer!(reply, changed, |now| reply.attr(&UNCACHED, &now));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.child(Call::Create, parent, name).and_then(|path| {
            fs::DirBuilder::new().mode(mode).create(&path)?;
            Ok(self.attributes(path)?)
        });
        answer!(reply, made, |made| reply.entry(&UNCACHED, &made, FIRST));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let path = self.child(Call::Remove, parent, name);
        let removed = path.and_then(|path| {
            fs::remove_file(&path)?;
            self.paths.remove(&path);
            Ok(())
        });
        answer!(reply, removed, |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let path = self.child(Call::Remove, parent, name);
        let removed = path.and_then(|path| {
            fs::remove_dir(&path)?;
            self.paths.remove(&path);
            Ok(())
        });
        answer!(reply, removed, |()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let from = self.child(Call::Rename, parent, name);
        let renamed = from.and_then(|from| {
            let to = self.paths.child(newparent, newname).ok_or(Errno::ESTALE)?;
            fs::rename(&from, &to)?;
            self.paths.rename(&from, &to);
            Ok(())
        });
        answer!(reply, renamed, |()| reply.ok());
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.path(Call::Open, ino).and_then(|path| {
            let mode = flags.acc_mode();
            let mut options = OpenOptions::new();
            options.read(mode != OpenAccMode::O_WRONLY);
            options.write(mode != OpenAccMode::O_RDONLY);
            Ok(self.keep(options.open(path)?))
        });
        answer!(reply, opened, |handle| reply
            .opened(handle, FopenFlags::FOPEN_DIRECT_IO));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let path = self.child(Call::Create, parent, name);
        let made = path.and_then(|path| Ok(self.make_file(path, mode, flags)?));
        answer!(reply, made, |(attributes, handle)| reply.created(
            &UNCACHED,
            &attributes,
            FIRST,
            handle,
            FopenFlags::FOPEN_DIRECT_IO
        ));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.file(Call::Read, ino, fh).and_then(|file| {
            let mut bytes = vec![0; size as usize];
            let length = file.read_at(&mut bytes, offset)?;
            bytes.truncate(length);
            Ok(bytes)
        });
        answer!(reply, read, |bytes| reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.file(Call::Write, ino, fh);
        let written = file.and_then(|file| Ok(file.write_at(data, offset)?));
        answer!(reply, written, |length| reply
            .written(u32::try_from(length).unwrap_or_default()));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files().remove(&fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        let file = self.file(Call::Sync, ino, fh);
        let synced = file.and_then(|file| Ok(file.sync_all()?));
        answer!(reply, synced, |()| reply.ok());
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let path = self.path(Call::Sync, ino);
        let synced = path.and_then(|path| Ok(File::open(path)?.sync_all()?));
        answer!(reply, synced, |()| reply.ok());
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let path = self.path(Call::Look, ino);
        let entries = path.and_then(|path| Ok(self.entries(&path)?));
        answer!(reply, entries, |entries| {
            for (next, (inode, kind, name)) in (1u64..).zip(entries) {
                if next > offset && reply.add(INodeNo(inode), next, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let path = self.path(Call::Look, ino);
        let stat =
            path.and_then(|path| statvfs(&path).map_err(|errno| Errno::from_i32(errno as i32)));
        answer!(reply, stat, |stat| reply.statfs(
            stat.blocks(),
            stat.blocks_free(),
            stat.blocks_available(),
            stat.files(),
            stat.files_free(),
            u32::try_from(stat.block_size()).unwrap_or(4096),
            255,
            u32::try_from(stat.fragment_size()).unwrap_or(4096),
        ));
    }
}
