//! Where backups live: one trait, its implementations, and the suite that they all pass.
//!
//! | implementation | what it is |
//! |---|---|
//! | [`DirectoryTarget`] | a folder, most often an NFS share |
//! | [`NfsTarget`] | an NFS export, mounted by us as such a folder |
//! | [`MemoryTarget`] | for tests |
//! | [`FaultyTarget`] | another one, made to fail |
//!
//! Another, for S3, is the crate `agent-target-s3`. Throttling is a wrapper around a target, never inside
//! it; so is retrying, but for what the protocol of a target asks of every client.

mod capabilities;
mod composition;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod directory;
mod error;
mod faulty;
mod memory;
mod nfs;
mod retention;
mod target;

pub use agent_qcow2::{ImageSink, ImageUpdate, ReadAt};
pub use capabilities::{Capabilities, Capacity};
pub use composition::ImageComposition;
pub use directory::DirectoryTarget;
pub use error::{ErrorKind, Result, TargetError};
pub use faulty::{Fault, FaultyTarget, Operation};
pub use memory::MemoryTarget;
pub use nfs::{MountSettings, NfsExport, NfsTarget};
pub use retention::Retention;
pub use target::{ObjectStat, Target};
