//! Reading a compressed cluster.

use std::io::{self, Read};

use super::{Image, ReadError};
use crate::header::CompressionType;

/// Fills `buffer` with the bytes of the cluster from `within` on.
pub(super) fn read(
    image: &Image,
    host_offset: u64,
    host_length: u32,
    within: u64,
    buffer: &mut [u8],
) -> Result<(), ReadError> {
    let mut packed = vec![0; host_length as usize];
    image.read(&mut packed, host_offset)?;
    let unpacked = match image.header().compression {
        CompressionType::Zlib => unpack(
            flate2::read::DeflateDecoder::new(&packed[..]),
            within,
            buffer,
        ),
        CompressionType::Zstd => zstd::stream::read::Decoder::new(&packed[..])
            .and_then(|decoder| unpack(decoder.single_frame(), within, buffer)),
    };
    unpacked.map_err(|source| ReadError::Io {
        image: image.name().to_owned(),
        offset: host_offset,
        length: packed.len(),
        source,
    })
}

fn unpack(mut stream: impl Read, within: u64, buffer: &mut [u8]) -> io::Result<()> {
    io::copy(&mut stream.by_ref().take(within), &mut io::sink())?;
    stream.read_exact(buffer)
}
