//! Reading the bytes of extents: payloads that lie one after the other in a file at once.

use super::{Chain, Extent, ExtentKind, ReadError};
use crate::Decompressor;

/// Payloads are read at once up to so many bytes (and one more payload).
const RUN_BYTES: u64 = 2 << 20;

/// The payloads of compressed clusters that were read together, in [`Decompressor::packed`].
#[derive(Debug, Clone, Copy)]
struct Run {
    image: usize,
    host_offset: u64,
    length: usize,
}

/// Where a payload is, as [`ExtentKind::Compressed`] says it.
#[derive(Debug, Clone, Copy)]
struct Payload {
    image: usize,
    host_offset: u64,
    host_length: u32,
}

impl Payload {
    fn of(kind: ExtentKind) -> Option<Self> {
        match kind {
            ExtentKind::Compressed {
                image,
                host_offset,
                host_length,
            } => Some(Self {
                image,
                host_offset,
                host_length,
            }),
            _ => None,
        }
    }

    fn host_end(&self) -> u64 {
        self.host_offset + u64::from(self.host_length)
    }
}

impl Run {
    /// From `first` on as far as the payloads of `later` follow each other in the file. Clusters of
    /// other kinds between them in the guest do not matter.
    fn plan(first: Payload, later: &[Extent]) -> Self {
        let (mut at, mut end) = (first.host_offset, first.host_end());
        for next in later.iter().filter_map(|extent| Payload::of(extent.kind)) {
            let follows = next.image == first.image && (at..=end).contains(&next.host_offset);
            if !follows || next.host_offset - first.host_offset >= RUN_BYTES {
                break;
            }
            at = next.host_offset;
            end = end.max(next.host_end());
        }
        Self {
            image: first.image,
            host_offset: first.host_offset,
            length: in_memory(end - first.host_offset),
        }
    }

    /// The bytes of `payload`, if they are part of this run.
    fn bytes<'a>(&self, packed: &'a [u8], payload: Payload) -> Option<&'a [u8]> {
        let start = payload.host_offset.checked_sub(self.host_offset)?;
        let start = in_memory(start);
        let end = start + payload.host_length as usize;
        (self.image == payload.image && end <= self.length)
            .then(|| packed.get(start..end))
            .flatten()
    }
}

impl Chain {
    /// Fills `buffer` with the bytes of `extents`, one extent after the other; together they must
    /// be exactly as long. Compressed clusters whose payloads follow each other in the file are read at
    /// once, so hand over those of about 1 MiB of the disk. Takes no lock: threads that have a
    /// [`Decompressor`] each do not wait for one another.
    pub fn read_extents(
        &self,
        extents: &[Extent],
        buffer: &mut [u8],
        decompressor: &mut Decompressor,
    ) -> Result<(), ReadError> {
        let (size, length) = (buffer.len() as u64, total(extents));
        if size != length {
            let offset = extents.first().map_or(0, |extent| extent.guest_offset);
            return Err(ReadError::OutOfRange {
                offset,
                length,
                size,
            });
        }
        let mut rest = buffer;
        let mut run = None;
        for (n, extent) in extents.iter().enumerate() {
            let (now, later) = rest.split_at_mut(in_memory(extent.length).min(rest.len()));
            rest = later;
            match Payload::of(extent.kind) {
                None => self.read_extent(extent, 0, now)?,
                Some(payload) => {
                    let within = extent.guest_offset % self.cluster_size;
                    if within + extent.length > self.cluster_size {
                        return Err(ReadError::OutOfRange {
                            offset: extent.guest_offset,
                            length: extent.length,
                            size: self.cluster_size,
                        });
                    }
                    let later = extents.get(n + 1..).unwrap_or_default();
                    self.read_payload(payload, later, &mut run, within, now, decompressor)?;
                }
            }
        }
        Ok(())
    }

    /// Fills `buffer` with the bytes of `extent` from its byte `skip` on; the two must lie within it.
    /// For many compressed clusters use [`read_extents`](Self::read_extents).
    pub fn read_extent(
        &self,
        extent: &Extent,
        skip: u64,
        buffer: &mut [u8],
    ) -> Result<(), ReadError> {
        let length = buffer.len() as u64;
        if skip
            .checked_add(length)
            .is_none_or(|end| end > extent.length)
        {
            let offset = extent.guest_offset.saturating_add(skip);
            return Err(ReadError::OutOfRange {
                offset,
                length,
                size: extent.length,
            });
        }
        match extent.kind {
            ExtentKind::Zero => {
                buffer.fill(0);
                Ok(())
            }
            ExtentKind::Data { image, host_offset } => {
                self.image(image)?.read(buffer, host_offset + skip)
            }
            ExtentKind::Compressed { .. } => {
                let part = Extent {
                    guest_offset: extent.guest_offset + skip,
                    length,
                    kind: extent.kind,
                };
                self.read_extents(&[part], buffer, &mut Decompressor::new())
            }
        }
    }

    /// Fills `part` with the bytes of a compressed cluster from `within` on. What is read for it is
    /// kept as `run` for those that come `later`.
    fn read_payload(
        &self,
        payload: Payload,
        later: &[Extent],
        run: &mut Option<Run>,
        within: u64,
        part: &mut [u8],
        decompressor: &mut Decompressor,
    ) -> Result<(), ReadError> {
        let image = self.image(payload.image)?;
        let Decompressor {
            codec,
            packed,
            cluster,
        } = decompressor;
        if run.is_none_or(|run| run.bytes(packed, payload).is_none()) {
            let planned = Run::plan(payload, later);
            packed.resize(planned.length, 0);
            image.read(packed, planned.host_offset)?;
            *run = Some(planned);
        }
        let bytes = run.and_then(|run| run.bytes(packed, payload));
        let bytes = bytes.unwrap_or_default();
        let kind = image.header().compression;
        let unpacked = if part.len() as u64 == self.cluster_size {
            codec.unpack(kind, bytes, part)
        } else {
            cluster.resize(in_memory(self.cluster_size), 0);
            let unpacked = codec.unpack(kind, bytes, cluster);
            let wanted = cluster.get(in_memory(within)..);
            if let Some(wanted) = wanted.and_then(|rest| rest.get(..part.len())) {
                part.copy_from_slice(wanted);
            }
            unpacked
        };
        unpacked.map_err(|what| image.damaged(payload.host_offset, what))
    }
}

fn total(extents: &[Extent]) -> u64 {
    let lengths = extents.iter().map(|extent| extent.length);
    lengths.fold(0, u64::saturating_add)
}

/// For lengths that the size of a buffer, a run or a cluster bounds.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
