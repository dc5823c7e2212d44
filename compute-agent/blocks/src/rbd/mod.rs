//! RBD images: what changed between their snapshots by `rbd diff`, their bytes through `qemu-nbd`.
//!
//! `rbd diff` is asked for exact extents, not whole objects. Two traps, both seen with Ceph 16: a
//! failing `rbd diff` prints an empty list before it exits with an error, so the list counts only
//! together with a good exit; and of a clone the first diff includes what the parent holds.

mod command;
mod diff;
mod json;
mod snapshot;
mod source;
mod target;
mod words;

use std::{fmt, path::PathBuf};

pub use diff::RbdDiff;
pub use source::RbdSource;
pub use target::RbdTarget;
pub(crate) use words::kind_of_words;

/// Names an image, or a snapshot of one, and the way to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RbdImage {
    /// The pool.
    pub pool: String,
    /// The image.
    pub image: String,
    /// A snapshot; none means the image as it is now.
    pub snapshot: Option<String>,
    /// The Ceph user without `client.`; none means the tools' default.
    pub user: Option<String>,
    /// The cluster's configuration file; none means the tools' default.
    pub conf: Option<PathBuf>,
    /// Monitors, where the configuration file does not name them.
    pub monitors: Vec<MonitorHost>,
}

/// Where a Ceph monitor listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorHost {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl RbdImage {
    /// An image as it is now, with the tools' own user and configuration.
    pub fn new(pool: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            pool: pool.into(),
            image: image.into(),
            snapshot: None,
            user: None,
            conf: None,
            monitors: Vec::new(),
        }
    }

    /// The same image at a snapshot.
    pub fn at(mut self, snapshot: impl Into<String>) -> Self {
        self.snapshot = Some(snapshot.into());
        self
    }
}

impl fmt::Display for RbdImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.image)?;
        match &self.snapshot {
            Some(snapshot) => write!(f, "@{snapshot}"),
            None => Ok(()),
        }
    }
}
