//! What one thread does with a batch: reads it, finds zeroes, hashes, compares, compresses.

use std::ops::Range;

use agent_blocks::{BlocksError, Buffer, Chunk, DiskReader, DiskSource, Extent, ReadPlan};
use agent_format::Digest;
use agent_qcow2::{Compression, Compressor};

use super::batches::{Batch, Before};
use crate::transfer::clusters::{Assembler, CLUSTER, Piece};
use crate::transfer::error::{JobError, disk};
use crate::transfer::run::Run;

const PLAN: ReadPlan = ReadPlan {
    chunk_bytes: 2 << 20,
    window: 4,
};

/// A batch as it is to be written.
pub(super) struct Done {
    pub(super) parts: Vec<Part>,
    pub(super) done_bytes: u64,
    pub(super) end_cluster: u64,
}

/// Whole clusters in guest order.
pub(super) enum Part {
    Zero(Range<u64>),
    Data {
        first: u64,
        /// Of the clusters; empty if none is stored as it is.
        bytes: Buffer,
        packed: Vec<u8>,
        clusters: Vec<Content>,
    },
}

/// What becomes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Its parent holds the same.
    Same,
    Zero,
    Data(Digest),
    /// With its place among the packed bytes.
    Packed(Digest, Range<usize>),
}

pub(super) struct Reading<'a> {
    run: &'a Run<'a>,
    size_bytes: u64,
    reader: Box<dyn DiskReader>,
    compressor: Option<Compressor>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        source: &dyn DiskSource,
        compression: Compression,
    ) -> Result<Self, JobError> {
        let reader = source.open_reader().map_err(disk("read the disk"))?;
        let compressor = match compression {
            Compression::None => None,
            _ => Some(Compressor::new(compression).map_err(JobError::Compress)?),
        };
        Ok(Self {
            run,
            size_bytes: source.size_bytes(),
            reader,
            compressor,
        })
    }

    pub(super) fn read(&mut self, batch: Batch) -> Result<Done, JobError> {
        let failed = disk("read the disk");
        let mut assembler = Assembler::new(self.size_bytes);
        let mut parts = Vec::new();
        let extents: Vec<Result<Extent, BlocksError>> = batch.extents.into_iter().map(Ok).collect();
        for chunk in self.reader.read(Box::new(extents.into_iter()), PLAN) {
            let chunk = chunk.map_err(failed)?;
            if let Chunk::Data { bytes, .. } = &chunk {
                let length = bytes.len() as u64;
                self.run.ticket.has_read(length);
                self.run.host.throttle.pass(length, self.run.ticket)?;
            }
            for piece in assembler.push(chunk)? {
                parts.extend(part(piece, &batch.before, self.compressor.as_mut())?);
            }
        }
        assembler.finish()?;
        Ok(Done {
            parts,
            done_bytes: batch.done_bytes,
            end_cluster: batch.end_cluster,
        })
    }
}

fn part(
    piece: Piece,
    before: &Before,
    compressor: Option<&mut Compressor>,
) -> Result<Vec<Part>, JobError> {
    Ok(match piece {
        Piece::Zero(range) => zero_parts(range, before),
        Piece::Data {
            first,
            bytes,
            digests,
        } => {
            let digests = (first..).zip(digests);
            let clusters = digests.map(|(cluster, digest)| match digest {
                _ if before.is_same(cluster, digest.as_ref()) => Content::Same,
                None => Content::Zero,
                Some(digest) => Content::Data(digest),
            });
            let clusters = clusters.collect::<Vec<_>>();
            if clusters.iter().all(|content| *content == Content::Same) {
                return Ok(Vec::new());
            }
            vec![match compressor {
                Some(compressor) => compressed(first, bytes, clusters, compressor)?,
                None => Part::Data {
                    first,
                    bytes,
                    packed: Vec::new(),
                    clusters,
                },
            }]
        }
    })
}

/// Those that held data before, or may have.
fn zero_parts(range: Range<u64>, before: &Before) -> Vec<Part> {
    if before.is_unknown(range.start) {
        return vec![Part::Zero(range)];
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        if before.is_unknown(at) {
            push_zero(&mut parts, at..range.end);
            break;
        }
        if !before.is_same(at, None) {
            push_zero(&mut parts, at..at + 1);
        }
        at += 1;
    }
    parts
}

fn push_zero(parts: &mut Vec<Part>, range: Range<u64>) {
    match parts.last_mut() {
        Some(Part::Zero(last)) if last.end == range.start => last.end = range.end,
        _ => parts.push(Part::Zero(range)),
    }
}

fn compressed(
    first: u64,
    bytes: Buffer,
    mut clusters: Vec<Content>,
    compressor: &mut Compressor,
) -> Result<Part, JobError> {
    let mut packed = Vec::new();
    let mut is_all_packed = true;
    for (content, cluster) in clusters.iter_mut().zip(bytes.chunks(CLUSTER)) {
        let Content::Data(digest) = content else {
            continue;
        };
        match compressor.compress(cluster).map_err(JobError::Compress)? {
            Some(payload) => {
                let start = packed.len();
                packed.extend_from_slice(payload);
                *content = Content::Packed(*digest, start..packed.len());
            }
            None => is_all_packed = false,
        }
    }
    let bytes = if is_all_packed {
        Buffer::from(Vec::new())
    } else {
        bytes
    };
    Ok(Part::Data {
        first,
        bytes,
        packed,
        clusters,
    })
}
