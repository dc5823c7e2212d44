//! Mounting one export, and mounting it anew when its handle has gone stale.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::{command, mountinfo};
use crate::{ErrorKind, Result, TargetError};

/// A server that refuses is not asked by every transfer anew.
const PAUSE: Duration = Duration::from_secs(10);

/// An export and how to mount it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NfsExport {
    /// `server:/path`, as mount(8) wants it.
    pub export: String,
    /// For `-o`; empty: mount's own defaults.
    pub options: String,
}

/// How this host mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSettings {
    /// Exports are mounted below it; it must exist.
    pub root: PathBuf,
    /// What to put before `mount` and `umount`: nothing, or `sudo` with its options.
    pub prefix: Vec<String>,
    /// A mount that takes longer is given up.
    pub limit: Duration,
    /// Where the kernel tells what is mounted.
    pub mountinfo: PathBuf,
}

impl Default for MountSettings {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/var/triliovault-mounts"),
            prefix: Vec::new(),
            limit: Duration::from_secs(60),
            mountinfo: PathBuf::from("/proc/self/mountinfo"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Mount {
    export: NfsExport,
    settings: MountSettings,
    point: PathBuf,
    failed_at: Mutex<Option<Instant>>,
    times: AtomicU64,
}

impl Mount {
    pub(super) fn new(export: NfsExport, settings: MountSettings) -> Self {
        let point = settings.root.join(STANDARD.encode(&export.export));
        Self {
            export,
            settings,
            point,
            failed_at: Mutex::default(),
            times: AtomicU64::new(0),
        }
    }

    pub(super) fn point(&self) -> &Path {
        &self.point
    }

    /// How often it was mounted.
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::SeqCst)
    }

    /// Mounts what is not mounted, and mounts anew what is stale. Answers whether that was done since
    /// it had been `seen` mounted so many times, by whomever: else asking the share once more is of no
    /// use.
    pub(super) fn ensure(&self, seen: u64) -> Result<bool> {
        // One at a time: the second finds what the first has mounted.
        let mut failed_at = self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.times() == seen && !failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            let result = self.mount_if_needed();
            *failed_at = result.is_err().then(Instant::now);
            result?;
        }
        Ok(self.times() > seen)
    }

    fn mount_if_needed(&self) -> Result<()> {
        if self.is_mounted()? {
            if !self.is_stale() {
                return Ok(());
            }
            // Lazily: transfers still hold files of it open, and end with errors of their own.
            self.run("unmount share", &["umount", "-l", &self.point_text()])?;
        }
        let made = std::fs::create_dir_all(&self.point);
        made.map_err(|e| TargetError::from_io("make mount point", &self.point_text(), e))?;
        let point = self.point_text();
        let mut words = vec!["mount", "-t", "nfs"];
        if !self.export.options.is_empty() {
            words.extend(["-o", &self.export.options]);
        }
        words.extend([self.export.export.as_str(), point.as_str()]);
        self.run("mount share", &words)?;
        self.times.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn is_mounted(&self) -> Result<bool> {
        let path = &self.settings.mountinfo;
        let text = std::fs::read_to_string(path);
        let text = text
            .map_err(|e| TargetError::from_io("read list of mounts", &path.to_string_lossy(), e))?;
        Ok(mountinfo::has_mount_at(&text, &self.point))
    }

    /// The server has forgotten it, or a FUSE file system has lost its process.
    fn is_stale(&self) -> bool {
        let gone = [Errno::ESTALE, Errno::ENOTCONN, Errno::EIO, Errno::ESHUTDOWN];
        statvfs(&self.point).is_err_and(|errno| gone.contains(&errno))
    }

    fn run(&self, operation: &'static str, words: &[&str]) -> Result<()> {
        let prefix = self.settings.prefix.iter().map(String::as_str);
        let words: Vec<&str> = prefix.chain(words.iter().copied()).collect();
        command::run(&words, self.settings.limit).map_err(|why| {
            TargetError::new(ErrorKind::Unavailable, operation, &self.export.export, why)
        })
    }

    fn point_text(&self) -> String {
        self.point.to_string_lossy().into_owned()
    }
}
