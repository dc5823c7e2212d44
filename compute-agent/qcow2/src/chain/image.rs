//! One image of a chain.

use std::fmt;

use super::ReadError;
use crate::{Header, ReadAt};

/// An image to be opened.
pub struct ChainImage {
    /// What errors call it.
    pub name: String,
    /// Its bytes.
    pub data: Box<dyn ReadAt>,
}

/// An opened image.
pub struct Image {
    name: String,
    data: Box<dyn ReadAt>,
    header: Header,
    /// What lies behind this is not seen through the newer images: like QEMU, an image that was
    /// larger or smaller than the ones above shows zeroes beyond the smallest of them.
    visible_end: u64,
}

/// Where a table's entry says that something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    NotHere,
    Zero,
    Data { offset: u64 },
    Compressed { offset: u64, length: u32 },
}

const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const FLAG_COPIED: u64 = 1 << 63;
const FLAG_COMPRESSED: u64 = 1 << 62;
const FLAG_ZERO: u64 = 1;

impl Image {
    pub(super) fn open(image: ChainImage, newer_visible_end: u64) -> Result<Self, ReadError> {
        let ChainImage { name, data } = image;
        match Header::read(&data) {
            Ok(header) => {
                let visible_end = header.virtual_size.min(newer_visible_end);
                Ok(Self {
                    name,
                    data,
                    header,
                    visible_end,
                })
            }
            Err(source) => Err(ReadError::Header {
                image: name,
                source,
            }),
        }
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Length of its file.
    pub fn size_bytes(&self) -> u64 {
        self.data.size_bytes()
    }

    /// BLAKE3 of its head (header and L1 table), to compare with the manifest.
    pub fn head_blake3(&self) -> Result<[u8; 32], ReadError> {
        self.header
            .head_blake3(&self.data)
            .map_err(|source| ReadError::Io {
                image: self.name.clone(),
                offset: 0,
                length: usize::try_from(self.header.head_bytes()).unwrap_or(usize::MAX),
                source,
            })
    }

    /// Fills `buffer` with the bytes of the image's file, as extents point into it.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ReadError> {
        self.data
            .read_exact_at(buffer, offset)
            .map_err(|source| ReadError::Io {
                image: self.name.clone(),
                offset,
                length: buffer.len(),
                source,
            })
    }

    pub(super) fn visible_end(&self) -> u64 {
        self.visible_end
    }

    pub(super) fn check_place(&self, cluster_size: u64, is_last: bool) -> Result<(), ReadError> {
        let misfit = |what| {
            Err(ReadError::NotAChain {
                image: self.name.clone(),
                what,
            })
        };
        if self.header.cluster_size() != cluster_size {
            return misfit(format!("its clusters are not {cluster_size} bytes"));
        }
        match (&self.header.backing_name, is_last) {
            (Some(name), true) => misfit(format!("it builds upon {name:?}, which is missing")),
            (None, false) => misfit("it stands alone, but an older image is given".to_owned()),
            _ => Ok(()),
        }
    }

    /// Reads the L2 table for the range `l1_index` into `table`; false if the image holds nothing.
    pub(super) fn read_table(&self, l1_index: u64, table: &mut [u8]) -> Result<bool, ReadError> {
        if l1_index >= self.header.l1_entries {
            return Ok(false);
        }
        let at = self.header.l1_offset + l1_index * 8;
        let mut entry = [0; 8];
        self.read(&mut entry, at)?;
        let entry = u64::from_be_bytes(entry);
        if entry & !(OFFSET_MASK | FLAG_COPIED) != 0 {
            return Err(self.damaged(at, "reserved bits of an L1 entry are set"));
        }
        let offset = entry & OFFSET_MASK;
        if offset == 0 {
            return Ok(false);
        }
        self.check_cluster(at, offset, table.len() as u64)?;
        self.read(table, offset)?;
        Ok(true)
    }

    /// What the L2 entry means; `at` is where it stands, `wanted` how many bytes of the cluster the
    /// disk has.
    pub(super) fn place(&self, entry: u64, wanted: u64) -> Result<Place, &'static str> {
        if entry & FLAG_COMPRESSED != 0 {
            return self.compressed_place(entry);
        }
        let zero_flag = if self.header.version >= 3 {
            FLAG_ZERO
        } else {
            0
        };
        if entry & !(OFFSET_MASK | FLAG_COPIED | zero_flag) != 0 {
            return Err("reserved bits of an L2 entry are set");
        }
        let offset = entry & OFFSET_MASK;
        if entry & zero_flag != 0 {
            return Ok(Place::Zero);
        }
        if offset == 0 {
            return Ok(Place::NotHere);
        }
        if !offset.is_multiple_of(self.header.cluster_size()) {
            return Err("an L2 entry is not aligned");
        }
        if offset + wanted > self.data.size_bytes() {
            return Err("an L2 entry points past the end of the file");
        }
        Ok(Place::Data { offset })
    }

    fn compressed_place(&self, entry: u64) -> Result<Place, &'static str> {
        // The fewer bits the cluster size needs, the more the offset has: see qcow2.txt.
        let offset_bits = 62 - (self.header.cluster_bits - 8);
        let offset = entry & ((1 << offset_bits) - 1);
        let more_sectors = (entry & !(FLAG_COMPRESSED | FLAG_COPIED)) >> offset_bits;
        let file_size = self.data.size_bytes();
        if offset >= file_size {
            return Err("a compressed cluster lies past the end of the file");
        }
        // The last sector may be cut off by the end of the file: the stream ends before it.
        let length = ((more_sectors + 1) * 512 - offset % 512).min(file_size - offset);
        let length = u32::try_from(length).map_err(|_| "a compressed cluster is too long")?;
        Ok(Place::Compressed { offset, length })
    }

    fn check_cluster(&self, at: u64, offset: u64, length: u64) -> Result<(), ReadError> {
        if !offset.is_multiple_of(self.header.cluster_size()) {
            return Err(self.damaged(at, "an L1 entry is not aligned"));
        }
        if offset + length > self.data.size_bytes() {
            return Err(self.damaged(at, "an L2 table lies past the end of the file"));
        }
        Ok(())
    }

    pub(super) fn damaged(&self, offset: u64, what: &'static str) -> ReadError {
        ReadError::Damaged {
            image: self.name.clone(),
            offset,
            what,
        }
    }

    /// Where the L2 table of a range stands, for errors about its entries.
    pub(super) fn l1_entry_offset(&self, l1_index: u64) -> u64 {
        self.header.l1_offset + l1_index * 8
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("name", &self.name)
            .field("header", &self.header)
            .finish()
    }
}
