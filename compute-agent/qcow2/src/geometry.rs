//! The numbers of an image as we write it.

/// Our cluster size: also the unit of indexes and of change detection.
pub const CLUSTER_BYTES: u64 = 1 << CLUSTER_BITS;
/// QCOW2 sizes are multiples of this.
pub const SECTOR_BYTES: u64 = 512;

pub(crate) const CLUSTER_BITS: u32 = 16;
pub(crate) const CLUSTER_LENGTH: usize = 1 << CLUSTER_BITS;
/// Entries of 8 bytes in an L2 table; together they map 512 MiB.
pub(crate) const L2_ENTRIES: u64 = CLUSTER_BYTES / 8;
/// Counts of 2 bytes in a refcount block; together they cover 2 GiB of the file.
pub(crate) const REFCOUNTS_PER_BLOCK: u64 = CLUSTER_BYTES / 2;
/// QEMU refuses larger L1 tables; with our clusters it allows disks of 2 PiB.
pub(crate) const L1_LIMIT_BYTES: u64 = 32 << 20;
/// QEMU reads at most this much of a backing file name.
pub(crate) const BACKING_NAME_LIMIT: usize = 1023;

/// Where the parts of an image's head lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The disk's true size.
    pub(crate) size_bytes: u64,
    /// Clusters of the head that are in use: header and L1.
    pub(crate) head_clusters: u64,
    /// Clusters left to the head, the sink's minimum considered.
    pub(crate) reserved_clusters: u64,
}

impl Geometry {
    /// None if the disk is empty or larger than QCOW2 can say.
    pub(crate) fn new(size_bytes: u64, head_minimum_bytes: u64) -> Option<Self> {
        let l1_bytes = size_bytes.div_ceil(CLUSTER_BYTES * L2_ENTRIES) * 8;
        if size_bytes == 0 || l1_bytes > L1_LIMIT_BYTES {
            return None;
        }
        let head_clusters = 1 + l1_bytes.div_ceil(CLUSTER_BYTES);
        let reserved_clusters = head_clusters.max(head_minimum_bytes.div_ceil(CLUSTER_BYTES));
        Some(Self {
            size_bytes,
            head_clusters,
            reserved_clusters,
        })
    }

    /// The size in the header.
    pub(crate) fn virtual_size(&self) -> u64 {
        self.size_bytes.next_multiple_of(SECTOR_BYTES)
    }

    pub(crate) fn guest_clusters(&self) -> u64 {
        self.size_bytes.div_ceil(CLUSTER_BYTES)
    }

    pub(crate) fn l1_entries(&self) -> u64 {
        self.guest_clusters().div_ceil(L2_ENTRIES)
    }

    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved_clusters * CLUSTER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_follows_the_size_of_the_disk() {
        let head = |size, minimum| {
            let geometry = Geometry::new(size, minimum).unwrap();
            (
                geometry.l1_entries(),
                geometry.head_clusters,
                geometry.reserved_clusters,
            )
        };
        assert_eq!(head(1, 0), (1, 2, 2));
        assert_eq!(head(512 << 20, 0), (1, 2, 2));
        assert_eq!(head((512 << 20) + 1, 0), (2, 2, 2));
        assert_eq!(head(16 << 40, 0), (32768, 5, 5));
        assert_eq!(head(1 << 30, 5 << 20), (2, 2, 80));
    }

    #[test]
    fn disks_that_qcow2_cannot_describe_have_no_geometry() {
        assert_eq!(Geometry::new(0, 0), None);
        assert!(Geometry::new(2 << 50, 0).is_some());
        assert_eq!(Geometry::new((2 << 50) + 1, 0), None);
        assert_eq!(Geometry::new(u64::MAX, 0), None);
    }
}
