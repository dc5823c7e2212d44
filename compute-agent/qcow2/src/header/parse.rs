//! Reading a header that anyone may have written: nothing in it is believed.

use std::io;

use super::{
    COMPRESSION_ZLIB, COMPRESSION_ZSTD, CompressionType, EXTENSION_BACKING_FORMAT, EXTENSION_END,
    Header, INCOMPATIBLE_COMPRESSION, MAGIC, VERSION_3_LENGTH,
};
use crate::ReadAt;
use crate::geometry::{BACKING_NAME_LIMIT, L1_LIMIT_BYTES};

const VERSION_2_LENGTH: u32 = 72;
/// Refcounts may be stale: of no concern to a reader.
const INCOMPATIBLE_DIRTY: u64 = 1;
const INCOMPATIBLE_CORRUPT: u64 = 2;
const INCOMPATIBLE_DATA_FILE: u64 = 4;
const INCOMPATIBLE_EXTENDED_L2: u64 = 16;
const LARGEST_HEADER: u32 = 4096;

/// Why a file is no image that we can read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It does not begin like QCOW2.
    #[error("not a QCOW2 image")]
    NotQcow2,
    /// QCOW2 can say this, but we do not read it.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// A field has an impossible value.
    #[error("damaged header: {what} (field at offset {offset})")]
    Damaged {
        /// Where the field is.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file could not be read.
    #[error("cannot read header at offset {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

pub(super) fn read(image: &(impl ReadAt + ?Sized)) -> Result<Header, HeaderError> {
    let file_size = image.size_bytes();
    let mut fields = Fields::read(image, VERSION_2_LENGTH)?;
    if fields.u32(0)? != MAGIC {
        return Err(HeaderError::NotQcow2);
    }
    let version = fields.u32(4)?;
    let (mut features, mut header_length) = (0, VERSION_2_LENGTH);
    let mut compression = CompressionType::Zlib;
    match version {
        2 => {}
        3 => {
            fields = Fields::read(image, VERSION_3_LENGTH)?;
            features = fields.u64(72)?;
            header_length = fields.u32(100)?;
            if !(VERSION_3_LENGTH..=LARGEST_HEADER).contains(&header_length) {
                return Err(damaged(100, "impossible header length"));
            }
            fields = Fields::read(image, header_length)?;
        }
        _ => return Err(HeaderError::Unsupported("a version other than 2 or 3")),
    }
    if features & INCOMPATIBLE_CORRUPT != 0 {
        return Err(damaged(72, "marked as corrupt"));
    }
    if features & !(INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION) != 0 {
        let is_set = |bit: u64| features & bit != 0;
        return Err(HeaderError::Unsupported(match () {
            () if is_set(INCOMPATIBLE_DATA_FILE) => "external data file",
            () if is_set(INCOMPATIBLE_EXTENDED_L2) => "extended L2 entries (subclusters)",
            () => "newer features",
        }));
    }
    if header_length > VERSION_3_LENGTH {
        compression = match fields.byte(104)? {
            COMPRESSION_ZLIB => CompressionType::Zlib,
            COMPRESSION_ZSTD => CompressionType::Zstd,
            _ => return Err(HeaderError::Unsupported("unknown compression")),
        };
    }
    if (features & INCOMPATIBLE_COMPRESSION != 0) != (compression != CompressionType::Zlib) {
        return Err(damaged(72, "says two things about the compression"));
    }
    if fields.u32(32)? != 0 {
        return Err(HeaderError::Unsupported("encryption"));
    }
    let cluster_bits = fields.u32(20)?;
    if !(9..=21).contains(&cluster_bits) {
        return Err(damaged(20, "impossible cluster size"));
    }
    if u64::from(header_length) > 1 << cluster_bits {
        return Err(damaged(100, "header is longer than a cluster"));
    }

    let mut header = Header {
        version,
        virtual_size: fields.u64(24)?,
        cluster_bits,
        compression,
        backing_name: backing_name(image, &fields, 1 << cluster_bits)?,
        backing_format: None,
        l1_offset: fields.u64(40)?,
        l1_entries: u64::from(fields.u32(36)?),
    };
    check_l1(&header, file_size)?;
    header.backing_format = backing_format(image, header_length, &fields, &header)?;
    Ok(header)
}

fn check_l1(header: &Header, file_size: u64) -> Result<(), HeaderError> {
    if header.l1_entries * 8 > L1_LIMIT_BYTES {
        return Err(damaged(36, "L1 table is too large"));
    }
    if header.l1_entries < header.virtual_size.div_ceil(header.bytes_per_l2()) {
        return Err(damaged(36, "L1 table is too small for the disk"));
    }
    if !header.l1_offset.is_multiple_of(header.cluster_size()) {
        return Err(damaged(40, "L1 table is not aligned"));
    }
    let end = header.l1_offset.checked_add(header.l1_entries * 8);
    if header.l1_entries > 0 && end.is_none_or(|end| end > file_size) {
        return Err(damaged(40, "L1 table lies beyond the end of the file"));
    }
    Ok(())
}

fn backing_name(
    image: &(impl ReadAt + ?Sized),
    fields: &Fields,
    cluster_size: u64,
) -> Result<Option<String>, HeaderError> {
    let (offset, length) = (fields.u64(8)?, fields.u32(16)? as usize);
    if offset == 0 {
        return Ok(None);
    }
    if length == 0 || length > BACKING_NAME_LIMIT {
        return Err(damaged(16, "impossible length of the backing file name"));
    }
    if offset
        .checked_add(length as u64)
        .is_none_or(|end| end > cluster_size)
    {
        return Err(damaged(
            8,
            "backing file name lies outside of the first cluster",
        ));
    }
    let mut name = vec![0; length];
    read_at(image, &mut name, offset)?;
    let name = String::from_utf8(name);
    name.map(Some)
        .map_err(|_| damaged(8, "backing file name is not UTF-8"))
}

/// Walks the header extensions, which end before the backing name or with the first cluster.
fn backing_format(
    image: &(impl ReadAt + ?Sized),
    header_length: u32,
    fields: &Fields,
    header: &Header,
) -> Result<Option<String>, HeaderError> {
    let end = match fields.u64(8)? {
        0 => header.cluster_size(),
        name_offset => name_offset,
    };
    let mut at = u64::from(header_length);
    while at + 8 <= end {
        let mut head = [0; 8];
        read_at(image, &mut head, at)?;
        let kind = u64::from_be_bytes(head) >> 32;
        let length = u64::from_be_bytes(head) & 0xffff_ffff;
        if kind == u64::from(EXTENSION_END) {
            break;
        }
        if length > end - at - 8 {
            return Err(damaged(at, "header extension is too long"));
        }
        if kind == u64::from(EXTENSION_BACKING_FORMAT) {
            let mut format = vec![0; usize::try_from(length).unwrap_or_default()];
            read_at(image, &mut format, at + 8)?;
            let format = String::from_utf8(format);
            return format
                .map(Some)
                .map_err(|_| damaged(at, "backing format is not UTF-8"));
        }
        at += 8 + length.next_multiple_of(8);
    }
    Ok(None)
}

fn damaged(offset: u64, what: &'static str) -> HeaderError {
    HeaderError::Damaged { offset, what }
}

fn read_at(
    image: &(impl ReadAt + ?Sized),
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), HeaderError> {
    if offset
        .checked_add(buffer.len() as u64)
        .is_none_or(|end| end > image.size_bytes())
    {
        return Err(damaged(offset, "file ends inside the header"));
    }
    image
        .read_exact_at(buffer, offset)
        .map_err(|source| HeaderError::Io { offset, source })
}

/// The fixed part of a header, by field offset.
struct Fields(Vec<u8>);

impl Fields {
    fn read(image: &(impl ReadAt + ?Sized), length: u32) -> Result<Self, HeaderError> {
        let mut bytes = vec![0; length as usize];
        if image.size_bytes() < u64::from(length) {
            return Err(damaged(image.size_bytes(), "file ends inside the header"));
        }
        read_at(image, &mut bytes, 0)?;
        Ok(Self(bytes))
    }

    fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N], HeaderError> {
        let field = self.0.get(at..).and_then(|rest| rest.first_chunk());
        field
            .copied()
            .ok_or_else(|| damaged(at as u64, "header is too short"))
    }

    fn byte(&self, at: usize) -> Result<u8, HeaderError> {
        self.bytes(at).map(u8::from_be_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32, HeaderError> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    fn u64(&self, at: usize) -> Result<u64, HeaderError> {
        self.bytes(at).map(u64::from_be_bytes)
    }
}
