//! One of the two images of a merge.

use super::MergeError;
use super::cell::{FLAG_COPIED, OFFSET_MASK, Packed};
use crate::geometry::{CLUSTER_BITS, CLUSTER_BYTES, CLUSTER_LENGTH};
use crate::{ChainImage, Decompressor, Header, ReadAt};

/// Fields of the header that only a writer needs.
const FIRST_FIELDS: usize = 104;
/// Log2 of the bits in a refcount.
const REFCOUNT_ORDER: u32 = 4;

pub(super) struct Side {
    name: String,
    data: Box<dyn ReadAt>,
    pub(super) header: Header,
    /// The L1 table: where each L2 table lies, 0 for none.
    pub(super) l1: Vec<u64>,
}

/// Where the counts of an image are.
pub(super) struct RefcountTable {
    pub(super) offset: u64,
    pub(super) clusters: u64,
}

impl Side {
    pub(super) fn open(image: ChainImage) -> Result<Self, MergeError> {
        let ChainImage { name, data } = image;
        let header = match Header::read(&data) {
            Ok(header) => header,
            Err(source) => {
                return Err(MergeError::Header {
                    image: name,
                    source,
                });
            }
        };
        let mut side = Self {
            name,
            data,
            header,
            l1: Vec::new(),
        };
        if side.header.cluster_bits != CLUSTER_BITS {
            return Err(side.unsupported("its clusters are not 64 KiB"));
        }
        if side.header.version != 3 {
            return Err(side.unsupported("it has version 2"));
        }
        side.l1 = side.read_l1()?;
        Ok(side)
    }

    fn read_l1(&self) -> Result<Vec<u64>, MergeError> {
        let l1_offset = self.header.l1_offset;
        let entries = self.numbers(l1_offset, self.header.l1_entries * 8)?;
        let file_size = self.data.size_bytes();
        for (entry, at) in entries.iter().zip((l1_offset..).step_by(8)) {
            let offset = entry & OFFSET_MASK;
            if entry & !(OFFSET_MASK | FLAG_COPIED) != 0 {
                return Err(self.damaged(at, "reserved bits of an L1 entry are set"));
            }
            if !offset.is_multiple_of(CLUSTER_BYTES) || offset + CLUSTER_BYTES > file_size {
                return Err(self.damaged(at, "an L1 entry is impossible"));
            }
        }
        Ok(entries.iter().map(|entry| entry & OFFSET_MASK).collect())
    }

    /// The entries of the L2 table of a range, if there is one.
    pub(super) fn table(&self, l1_index: usize) -> Result<Option<Vec<u64>>, MergeError> {
        match self.table_offset(l1_index) {
            0 => Ok(None),
            offset => self.numbers(offset, CLUSTER_BYTES).map(Some),
        }
    }

    /// 0 if there is none.
    pub(super) fn table_offset(&self, l1_index: usize) -> u64 {
        self.l1.get(l1_index).copied().unwrap_or_default()
    }

    /// Refuses what only a program that keeps it up to date may change.
    pub(super) fn refcount_table(&self) -> Result<RefcountTable, MergeError> {
        let mut fields = [0; FIRST_FIELDS];
        self.read(&mut fields, 0)?;
        let number = |at: usize| -> u64 {
            let field = fields.get(at..).and_then(|rest| rest.first_chunk());
            u64::from_be_bytes(field.copied().unwrap_or_default())
        };
        let (half, offset) = (u64::from(u32::MAX), number(48));
        let (clusters, snapshots) = (number(56) >> 32, number(56) & half);
        let rules = [
            (snapshots == 0, "it has internal snapshots"),
            (number(72) & 1 == 0, "its counts are stale"),
            (
                number(88) == 0,
                "it has bitmaps or other features of its own",
            ),
            (
                number(96) >> 32 == u64::from(REFCOUNT_ORDER),
                "its counts are not of 16 bits",
            ),
        ];
        if let Some((_, what)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(self.unsupported(what));
        }
        let end = clusters
            .checked_mul(CLUSTER_BYTES)
            .and_then(|length| length.checked_add(offset));
        let is_in_file = end.is_some_and(|end| end <= self.size_bytes());
        if clusters == 0 || !offset.is_multiple_of(CLUSTER_BYTES) || !is_in_file {
            return Err(self.damaged(48, "its refcount table is impossible"));
        }
        Ok(RefcountTable { offset, clusters })
    }

    /// Numbers of 8 bytes.
    pub(super) fn numbers(&self, offset: u64, length: u64) -> Result<Vec<u64>, MergeError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.read(&mut bytes, offset)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        Ok(numbers.iter().map(|n| u64::from_be_bytes(*n)).collect())
    }

    pub(super) fn first_cluster(&self) -> Result<Vec<u8>, MergeError> {
        let mut bytes = vec![0; CLUSTER_LENGTH];
        self.read(&mut bytes, 0)?;
        Ok(bytes)
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), MergeError> {
        self.data
            .read_exact_at(buffer, offset)
            .map_err(|source| MergeError::Read {
                image: self.name.clone(),
                offset,
                length: buffer.len(),
                source,
            })
    }

    /// The cluster of the disk that `packed` holds.
    pub(super) fn unpack(
        &self,
        packed: Packed,
        decompressor: &mut Decompressor,
        cluster: &mut [u8],
    ) -> Result<(), MergeError> {
        let there = self.size_bytes().saturating_sub(packed.offset);
        let length = usize::try_from(there.min(packed.length)).unwrap_or_default();
        let mut payload = std::mem::take(&mut decompressor.packed);
        payload.resize(length, 0);
        self.read(&mut payload, packed.offset)?;
        let kind = self.header.compression;
        let unpacked = decompressor.codec.unpack(kind, &payload, cluster);
        decompressor.packed = payload;
        unpacked.map_err(|what| self.damaged(packed.offset, what))
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.data.size_bytes()
    }

    pub(super) fn damaged(&self, offset: u64, what: &'static str) -> MergeError {
        MergeError::Damaged {
            image: self.name.clone(),
            offset,
            what,
        }
    }

    pub(super) fn unsupported(&self, what: &'static str) -> MergeError {
        MergeError::Unsupported {
            image: self.name.clone(),
            what,
        }
    }
}
