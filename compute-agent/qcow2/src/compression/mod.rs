//! Compressed clusters: one payload for each, independent of all others.
//!
//! A [`Compressor`] or [`Decompressor`] belongs to one thread, which keeps and reuses its contexts.

mod compressor;
mod decompressor;

pub use compressor::{CompressError, Compressor};
pub use decompressor::Decompressor;

use std::ops::RangeInclusive;

use crate::geometry::CLUSTER_LENGTH;

/// What a payload may be long. No compressor makes shorter ones of a cluster, and so few fit into a
/// cluster of the file that its count of users cannot overflow; longer ones save nothing.
pub(crate) const PAYLOAD_BYTES: RangeInclusive<usize> = 8..=CLUSTER_LENGTH - 1;
