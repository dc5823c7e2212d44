//! Rendering the header of an image that we write.

use super::{
    COMPRESSION_LENGTH, COMPRESSION_ZSTD, EXTENSION_BACKING_FORMAT, EXTENSION_END,
    INCOMPATIBLE_COMPRESSION, MAGIC, VERSION_3_LENGTH,
};
use crate::geometry::{CLUSTER_BITS, CLUSTER_BYTES, CLUSTER_LENGTH, Geometry};
use crate::writer::{Backing, Compression};

/// Log2 of the bits in a refcount.
const REFCOUNT_ORDER: u32 = 4;

/// What the header must say.
pub(crate) struct HeaderPlan<'a> {
    pub(crate) geometry: &'a Geometry,
    pub(crate) backing: Option<&'a Backing>,
    pub(crate) compression: Compression,
    pub(crate) refcount_table_offset: u64,
    pub(crate) refcount_table_clusters: u32,
}

/// The whole first cluster.
pub(crate) fn header_cluster(plan: &HeaderPlan<'_>) -> Vec<u8> {
    let extensions = extensions(plan.backing);
    let name = plan
        .backing
        .map(|backing| backing.name.as_bytes())
        .unwrap_or_default();
    // What old readers know needs no field of its own.
    let (features, length) = match plan.compression {
        Compression::None | Compression::Zlib => (0, VERSION_3_LENGTH),
        Compression::Zstd => (INCOMPATIBLE_COMPRESSION, COMPRESSION_LENGTH),
    };
    let name_offset = u64::from(length) + extensions.len() as u64;

    let mut out = Vec::with_capacity(CLUSTER_LENGTH);
    out.extend(MAGIC.to_be_bytes());
    out.extend(3u32.to_be_bytes());
    out.extend(if name.is_empty() { 0 } else { name_offset }.to_be_bytes());
    out.extend(u32_length(name).to_be_bytes());
    out.extend(CLUSTER_BITS.to_be_bytes());
    out.extend(plan.geometry.virtual_size().to_be_bytes());
    out.extend(0u32.to_be_bytes()); // no encryption
    out.extend(
        u32::try_from(plan.geometry.l1_entries())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    out.extend(CLUSTER_BYTES.to_be_bytes()); // L1 follows the header's cluster
    out.extend(plan.refcount_table_offset.to_be_bytes());
    out.extend(plan.refcount_table_clusters.to_be_bytes());
    out.extend([0; 12]); // no internal snapshots
    out.extend(features.to_be_bytes());
    out.extend([0; 16]); // no compatible or autoclear features
    out.extend(REFCOUNT_ORDER.to_be_bytes());
    out.extend(length.to_be_bytes());
    if length == COMPRESSION_LENGTH {
        out.extend([COMPRESSION_ZSTD, 0, 0, 0, 0, 0, 0, 0]);
    }
    out.extend(extensions);
    out.extend(name);
    out.resize(CLUSTER_LENGTH, 0);
    out
}

fn extensions(backing: Option<&Backing>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(backing) = backing {
        let format = backing.format.name().as_bytes();
        out.extend(EXTENSION_BACKING_FORMAT.to_be_bytes());
        out.extend(u32_length(format).to_be_bytes());
        out.extend(format);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out.extend(EXTENSION_END.to_be_bytes());
    out.extend(0u32.to_be_bytes());
    out
}

/// Names and formats are short: options are validated before they get here.
fn u32_length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
