//! Every byte of an image against its index, and both against what the manifest says of them.
//!
//! ```text
//! index whole? head as it was?            (nothing else is worth looking at if not)
//!   -> walk      image and index side by side: what has the one that the other has not?
//!   -> threads   read, decompress, hash, compare
//!   -> report    all damage counted, the first of it by name, in guest order
//! ```
//! Images that it builds upon are not looked at. Damage is a result, not an error; what cannot be read
//! because storage is away is an error.

mod report;
mod walk;

use agent_blocks::{Buffer, BufferPool};
use agent_contract::{ImageDigests, TransferOutcome, VerifyJob};
use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexHeader};
use agent_qcow2::{Chain, ChainImage, Decompressor, Extent, ReadError};
use agent_target::ErrorKind;
pub(crate) use report::{Damage, Report};
use services_foundation::error_chain::ErrorChain;
use walk::{Batch, Walk};

use super::error::JobError;
use super::pipeline::{self, Work};
use super::reading::open_index;
use super::run::{Place, Run};

pub(super) fn run(run: &Run<'_>, job: &VerifyJob) -> Result<TransferOutcome, JobError> {
    let place = run.host.place(&job.image)?;
    let report = verify_image(run, &place, job.digests.as_ref())?;
    Ok(TransferOutcome::Verified {
        verified_bytes: report.verified_bytes,
        damage: report.lines(),
    })
}

/// Reads the image whole.
pub(crate) fn verify_image(
    run: &Run<'_>,
    place: &Place,
    digests: Option<&ImageDigests>,
) -> Result<Report, JobError> {
    let mut report = Report::of(place.image.to_string());
    let Some(index) = report.or_damage(check_index(place, digests), None)? else {
        return Ok(report);
    };
    let Some(chain) = report.or_damage(open_alone(place), None)? else {
        return Ok(report);
    };
    let Some(found) = report.or_damage(head_of(&chain), None)? else {
        return Ok(report);
    };
    if digests.is_some_and(|digests| digests.image_blake3 != found.to_string()) {
        report.damage(
            "its header or L1 table is not the one of the manifest",
            None,
        );
    }
    if u64::from(index.header.cluster_size) != chain.cluster_size() {
        report.damage("its index has another cluster size", None);
        return Ok(report);
    }
    if index.header.size_bytes.checked_next_multiple_of(512) != Some(chain.virtual_size()) {
        report.damage("its index is of a disk of another size", None);
    }
    run.ticket.set_total(index.data_bytes);
    compare(run, place, &chain, &mut report)?;
    Ok(report)
}

struct WholeIndex {
    header: IndexHeader,
    data_bytes: u64,
}

/// Reads the index once for itself: only one that is whole can be compared with.
fn check_index(place: &Place, digests: Option<&ImageDigests>) -> Result<WholeIndex, JobError> {
    let mut index = open_index(place)?;
    let header = *index.header();
    let mut data_bytes = 0;
    for record in index.by_ref() {
        let record = record.map_err(|source| JobError::ReadIndex {
            image: place.image.to_string(),
            source,
        })?;
        if record.content != ClusterContent::Zero {
            data_bytes += u64::from(header.cluster_size);
        }
    }
    let summary = index.summary().ok_or(JobError::Broken)?;
    if digests.is_some_and(|digests| digests.index_blake3 != summary.digest.to_string()) {
        return Err(JobError::Damaged {
            image: place.image.to_string(),
            offset: 0,
            what: "its index is not the one of the manifest",
        });
    }
    Ok(WholeIndex { header, data_bytes })
}

fn open_alone(place: &Place) -> Result<Chain, JobError> {
    let opened = place.target.open_image(&place.image);
    let data = opened.map_err(super::error::target("open an image"))?;
    let name = place.image.to_string();
    Chain::open_alone(ChainImage { name, data }).map_err(JobError::Chain)
}

fn head_of(chain: &Chain) -> Result<Digest, JobError> {
    let image = chain.images().first().ok_or(JobError::Broken)?;
    Ok(Digest::from(image.head_blake3().map_err(JobError::Chain)?))
}

fn compare(
    run: &Run<'_>,
    place: &Place,
    chain: &Chain,
    report: &mut Report,
) -> Result<(), JobError> {
    let mut walk = Walk::new(chain, open_index(place)?, place.image.to_string());
    let begin = |_| -> Result<Work<'_, Batch, Compared>, JobError> {
        let mut reader = Reader {
            chain,
            pool: BufferPool::new(KEPT_BYTES),
            decompressor: Decompressor::new(),
        };
        Ok(Box::new(move |batch| {
            run.host.throttle.pass(batch.bytes(), run.ticket)?;
            reader.compare(batch)
        }))
    };
    let mut done = 0;
    pipeline::run(
        pipeline::workers(),
        || walk.next(),
        begin,
        |compared| {
            let compared = compared?;
            done += compared.bytes;
            run.ticket.has_read(compared.bytes);
            run.ticket.set_done(done);
            report.add(compared);
            Ok(run.ticket.check()?)
        },
    )
}

/// What became of a batch.
pub(super) struct Compared {
    /// Guest bytes whose digests were compared.
    pub(super) bytes: u64,
    pub(super) damage: Vec<Damage>,
}

/// One thread's means.
struct Reader<'a> {
    chain: &'a Chain,
    pool: BufferPool,
    decompressor: Decompressor,
}

/// One batch's.
const KEPT_BYTES: usize = 2 << 20;
const NOT_AS_WRITTEN: &str = "the bytes are not those that were backed up";

impl Reader<'_> {
    fn compare(&mut self, batch: Batch) -> Result<Compared, JobError> {
        let mut damage = batch.damage;
        let cluster_size = self.chain.cluster_size();
        let length = in_memory(batch.extents.iter().map(|extent| extent.length).sum());
        match self.read(&batch.extents, length) {
            Ok(bytes) => {
                let clusters = bytes.chunks(in_memory(cluster_size));
                for ((cluster, expected), bytes) in batch.clusters.iter().zip(clusters) {
                    if Digest::of_cluster(bytes, in_memory(cluster_size)) != *expected {
                        damage.push(Damage::at(cluster * cluster_size, NOT_AS_WRITTEN));
                    }
                }
            }
            // Which of them cannot be read?
            Err(error) if is_damage(&error) => {
                self.compare_one_by_one(&batch.extents, &batch.clusters, &mut damage)?;
            }
            Err(error) => return Err(error),
        }
        let bytes = length as u64;
        Ok(Compared { bytes, damage })
    }

    fn compare_one_by_one(
        &mut self,
        extents: &[Extent],
        clusters: &[(u64, Digest)],
        damage: &mut Vec<Damage>,
    ) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        for (cluster, expected) in clusters {
            let offset = cluster * cluster_size;
            let part = extents
                .iter()
                .find_map(|extent| part_of(extent, offset, cluster_size));
            let Some(part) = part else { continue };
            match self.read(&[part], in_memory(part.length)) {
                Ok(bytes) if Digest::of_cluster(&bytes, in_memory(cluster_size)) == *expected => {}
                Ok(_) => damage.push(Damage::at(offset, NOT_AS_WRITTEN)),
                Err(error) if is_damage(&error) => {
                    damage.push(Damage::at(offset, &ErrorChain(&error).to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Into memory that direct I/O takes: a scrub reads everything once, which the cache is no help for.
    fn read(&mut self, extents: &[Extent], length: usize) -> Result<Buffer, JobError> {
        let mut bytes = self.pool.take(length);
        self.chain
            .read_extents(extents, &mut bytes, &mut self.decompressor)
            .map_err(JobError::Chain)?;
        Ok(bytes)
    }
}

/// The cluster at `offset` as an extent of its own.
fn part_of(extent: &Extent, offset: u64, cluster_size: u64) -> Option<Extent> {
    let skip = offset.checked_sub(extent.guest_offset)?;
    let length = extent.length.checked_sub(skip)?.min(cluster_size);
    let kind = match extent.kind {
        agent_qcow2::ExtentKind::Data { image, host_offset } => agent_qcow2::ExtentKind::Data {
            image,
            host_offset: host_offset + skip,
        },
        kind => kind,
    };
    (length > 0).then_some(Extent {
        guest_offset: offset,
        length,
        kind,
    })
}

/// Whether what failed to be read is damage of the backup, and not of the way to it.
fn is_damage(error: &JobError) -> bool {
    let is_missing = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt);
    match error {
        JobError::Target { source, .. } => is_missing(source.kind),
        JobError::Chain(ReadError::Io { .. }) => is_missing(ErrorKind::of(error)),
        error => error.is_damage(),
    }
}

/// For sizes of batches and clusters.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
