//! Where a writer can go on after a crash.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The state of an [`IndexWriter`](super::IndexWriter) after its last block.
///
/// It is worth something only once the first `length_bytes` of the index are on stable storage,
/// which is for the caller to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexCheckpoint {
    /// Length to truncate the index to.
    pub length_bytes: u64,
    /// Records written so far.
    pub records: u64,
    /// The last of them.
    pub last_cluster: Option<u64>,
    /// The last digest in the file.
    pub digest: Digest,
}
