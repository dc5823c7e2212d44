//! What a backup is on a target: names, manifest, index of checksums. Bytes in, bytes out.
//!
//! ```text
//! workload_<id>/                          layout
//!   workload_db  workload_vms_db
//!   merges/                               merge_intent (while images are merged)
//!   snapshot_<id>/
//!     manifest.json                       manifest   (written last: no manifest, no backup)
//!     snapshot_db  disk_db  ...
//!     vm_id_<id>/vm_res_id_<id>_<disk>/
//!       <disk snapshot id>                the QCOW2 image (crate `agent-qcow2`)
//!       <disk snapshot id>.index          index      (a checksum for each cluster of the image)
//! ```
//!
//! Nothing here opens a file or a connection: where the bytes live is the business of
//! `agent-target`, what is in an image that of `agent-qcow2`.

mod digest;
mod ids;
pub mod index;
pub mod layout;
pub mod manifest;
mod manifest_merge;
pub mod merge_intent;
mod object_name;

pub use digest::{Digest, HashAlgorithm, ParseDigestError};
pub use ids::{DiskSnapshotId, ResourceId, SnapshotId, VmId, WorkloadId};
pub use manifest_merge::MergedDisk;
pub use object_name::{NameError, ObjectName};
