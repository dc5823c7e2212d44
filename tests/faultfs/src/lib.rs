//! A file system for tests that passes everything through to a folder, and fails on demand: what a network
//! share does on a bad day, without a network.
//!
//! Mounting needs root and `/dev/fuse`; [`unavailable`] says why it cannot be done, if so.

mod faults;
mod filesystem;
mod paths;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use faults::{Call, Effect, Faults, Rule};
use filesystem::PassThrough;
pub use fuser::Errno;
use fuser::{BackgroundSession, Config, MountOption, SessionACL};

/// Threads that answer: a call that hangs must not keep others from hanging too.
const THREADS: usize = 8;

/// Why no file system can be mounted here, in words for a test that is skipped.
pub fn unavailable() -> Option<&'static str> {
    if !nix::unistd::Uid::effective().is_root() {
        return Some("mounting needs root");
    }
    if !Path::new("/dev/fuse").exists() {
        return Some("there is no /dev/fuse");
    }
    None
}

/// A mounted file system. Dropping it lets hanging calls go and unmounts it.
#[derive(Debug)]
pub struct FaultyMount {
    point: PathBuf,
    faults: Arc<Faults>,
    session: Option<BackgroundSession>,
}

impl FaultyMount {
    /// Shows the folder `backing` at the existing folder `point`.
    pub fn new(backing: &Path, point: &Path) -> io::Result<Self> {
        let faults = Arc::new(Faults::default());
        let filesystem = PassThrough::new(backing, faults.clone());
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("faultfs".to_owned())];
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        Ok(Self {
            point: point.to_owned(),
            faults,
            session: Some(fuser::spawn_mount(filesystem, point, &config)?),
        })
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// What fails; may be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Drop for FaultyMount {
    fn drop(&mut self) {
        self.faults.clear();
        if let Some(session) = self.session.take() {
            // Whoever still has a file open keeps it; a test that minds sees the mount in its folder.
            let _unmounted = session.umount_and_join();
        }
    }
}
