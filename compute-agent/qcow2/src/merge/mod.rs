//! Merging an image into the one that builds upon it, so that the older of the two is needed no more.
//!
//! ```text
//! before   base <- parent <- successor <- newer        after   base <- merged <- newer
//! ```
//! The merged image shows what the successor showed. There are three ways to it:
//!
//! | | what it writes | where it can |
//! |---|---|---|
//! | [`prepare_merge`] | what the successor holds, into the parent's file | files |
//! | [`MergeComposition`] | a new object of server-side copies of both, and tables | S3 |
//! | [`write_merged`] | a new image of all that both hold | anywhere |
//!
//! Each leaves what was there readable until its last step, which is one write or one publication.

mod anew;
mod cell;
mod composed;
mod error;
mod in_place;
mod mover;
mod output;
mod pair;
mod side;
mod space;

pub use anew::write_merged;
pub use composed::{ComposedImage, CopyingSink, MergeComposition, MergeSource};
pub use error::MergeError;
pub use in_place::{PreparedMerge, prepare_merge, reclaim_unused};
pub use pair::MergePair;

/// Told of bytes as they are moved; false stops the merge.
pub type Watch<'a> = &'a mut dyn FnMut(u64) -> bool;

/// What a merged image is, for the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedImage {
    /// Length of the file.
    pub size_bytes: u64,
    /// The size in its header.
    pub virtual_size: u64,
    /// BLAKE3 of its head; [`crate::Image::head_blake3`] reads the same.
    pub head_blake3: [u8; 32],
}

/// The cluster in which the disk ended when it had another size.
struct Boundary {
    cluster: u64,
    bytes: Option<Vec<u8>>,
}
