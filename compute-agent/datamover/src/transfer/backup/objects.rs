use std::mem::discriminant;

use agent_contract::{BackupJob, ImageCompression, ImageFacts};
use agent_format::index::{ClusterContent, IndexHeader, IndexRecord, IndexSummary, IndexWriter};
use agent_format::{HashAlgorithm, ObjectName};
use agent_qcow2::{
    Backing, BackingFormat, CLUSTER_BYTES, Compression, ImageOptions, ImageSink, ImageSummary,
    ImageWriter, SinkStream,
};

use super::Comparison;
use super::read::{Content, Done, Part};
use crate::targets::object_name;
use crate::transfer::clusters::CLUSTER;
use crate::transfer::entry::BackupWork;
use crate::transfer::error::{JobError, target};
use crate::transfer::run::Place;

type Sink = Box<dyn ImageSink>;

/// An image and its index, written side by side.
pub(super) struct Objects {
    image: ImageWriter<Sink>,
    index: IndexWriter<SinkStream<Sink>>,
    is_incremental: bool,
    next_cluster: u64,
}

pub(super) fn image_options(job: &BackupJob, image: &ObjectName) -> Result<ImageOptions, JobError> {
    let backing = match &job.backing {
        None => None,
        Some(backing) => {
            let parent = object_name(&backing.name).map_err(JobError::Refused)?;
            let name = image.relative_path_to(&parent);
            Some(Backing {
                name,
                format: BackingFormat::Qcow2,
            })
        }
    };
    Ok(ImageOptions {
        size_bytes: job.size_bytes,
        backing,
        compression: match job.compression {
            ImageCompression::None => Compression::None,
            ImageCompression::Zstd => Compression::Zstd,
            ImageCompression::Zlib => Compression::Zlib,
        },
    })
}

pub(super) fn index_header(options: &ImageOptions) -> IndexHeader {
    IndexHeader {
        cluster_size: 1 << 16,
        size_bytes: options.size_bytes,
        algorithm: HashAlgorithm::Blake3,
        is_keyed: false,
    }
}

/// No image of the disk is larger, all of its clusters stored: what is added to them is 64 KiB of table
/// for each 512 MiB, 64 KiB of counts for each 2 GiB, and a head that may be filled up to some MiB.
fn most_image_bytes(options: &ImageOptions) -> u64 {
    const HEAD_BYTES: u64 = 64 << 20;
    let clusters = options.size_bytes.next_multiple_of(CLUSTER_BYTES);
    clusters + clusters / 1024 + HEAD_BYTES
}

/// The same for its index: 41 bytes for each cluster, and less than 7 for the block that they are in.
fn most_index_bytes(options: &ImageOptions) -> u64 {
    options.size_bytes.div_ceil(CLUSTER_BYTES) * 48 + 4096
}

impl Objects {
    pub(super) fn create(place: &Place, options: ImageOptions) -> Result<Self, JobError> {
        let begin = |name, most_bytes| {
            let begun = place.target.create_image_up_to(name, most_bytes);
            begun.map_err(target("begin an image"))
        };
        let header = index_header(&options);
        let is_incremental = options.backing.is_some();
        let index = SinkStream {
            sink: begin(&place.index, most_index_bytes(&options))?,
        };
        let image = begin(&place.image, most_image_bytes(&options))?;
        Ok(Self {
            index: IndexWriter::create(index, header).map_err(JobError::Index)?,
            image: ImageWriter::create(image, options).map_err(JobError::Image)?,
            is_incremental,
            next_cluster: 0,
        })
    }

    pub(super) fn resume(
        place: &Place,
        options: ImageOptions,
        work: BackupWork,
    ) -> Result<Self, JobError> {
        let again = |name, length| {
            let sink = place.target.create_image(name, Some(length));
            sink.map_err(target("go on with an image"))
        };
        let header = index_header(&options);
        let is_incremental = options.backing.is_some();
        let index = SinkStream {
            sink: again(&place.index, work.index.length_bytes)?,
        };
        let image = again(&place.image, work.image.length_bytes())?;
        Ok(Self {
            index: IndexWriter::resume(index, header, work.index).map_err(JobError::Index)?,
            image: ImageWriter::resume(image, options, work.image).map_err(JobError::Image)?,
            is_incremental,
            next_cluster: work.next_cluster,
        })
    }

    pub(super) fn next_cluster(&self) -> u64 {
        self.next_cluster
    }

    pub(super) fn write(&mut self, done: &Done) -> Result<(), JobError> {
        for part in &done.parts {
            match part {
                Part::Zero(range) => self.declare_zero(range.clone())?,
                Part::Data {
                    first,
                    bytes,
                    packed,
                    clusters,
                } => self.write_clusters(*first, bytes, packed, clusters)?,
            }
        }
        self.next_cluster = done.end_cluster;
        Ok(())
    }

    /// Neighbours that are stored as they are at once.
    fn write_clusters(
        &mut self,
        first: u64,
        bytes: &[u8],
        packed: &[u8],
        clusters: &[Content],
    ) -> Result<(), JobError> {
        let mut at = first;
        for run in clusters.chunk_by(|a, b| discriminant(a) == discriminant(b)) {
            let end = at + run.len() as u64;
            match run {
                [Content::Zero, ..] => self.declare_zero(at..end)?,
                [Content::Data(_), ..] => {
                    let start = usize::try_from(at - first).unwrap_or(usize::MAX) * CLUSTER;
                    let stop = bytes.len().min(start + run.len() * CLUSTER);
                    let bytes = bytes.get(start..stop).unwrap_or_default();
                    self.image.write_data(at, bytes).map_err(JobError::Image)?;
                }
                _ => {}
            }
            for (cluster, content) in (at..end).zip(run) {
                match content {
                    Content::Data(digest) => self.push(cluster, ClusterContent::Data(*digest))?,
                    Content::Packed(digest, place) => {
                        let payload = packed.get(place.clone()).unwrap_or_default();
                        self.image
                            .write_compressed(cluster, payload)
                            .map_err(JobError::Image)?;
                        self.push(cluster, ClusterContent::Data(*digest))?;
                    }
                    Content::Same | Content::Zero => {}
                }
            }
            at = end;
        }
        Ok(())
    }

    fn declare_zero(&mut self, clusters: std::ops::Range<u64>) -> Result<(), JobError> {
        if !self.is_incremental {
            return Ok(());
        }
        self.image
            .write_zero(clusters.clone())
            .map_err(JobError::Image)?;
        for cluster in clusters {
            self.push(cluster, ClusterContent::Zero)?;
        }
        Ok(())
    }

    fn push(&mut self, cluster: u64, content: ClusterContent) -> Result<(), JobError> {
        self.index
            .push(IndexRecord { cluster, content })
            .map_err(JobError::Index)
    }

    /// Makes both durable.
    pub(super) fn checkpoint(
        &mut self,
        is_read: bool,
        how: &Comparison,
    ) -> Result<BackupWork, JobError> {
        let index = self.index.checkpoint().map_err(JobError::Index)?;
        let synced = self.index.get_mut().sink.sync();
        synced.map_err(|error| JobError::Index(agent_format::index::IndexWriteError::Io(error)))?;
        let image = self.image.checkpoint().map_err(JobError::Image)?;
        Ok(BackupWork {
            image,
            index,
            next_cluster: self.next_cluster,
            is_read,
            is_compared: how.is_wanted,
            warnings: how.warnings(),
        })
    }

    /// Completes both, the index first.
    pub(super) fn finish(self, work: &BackupWork) -> Result<ImageFacts, JobError> {
        let index = finish_index(self.index)?;
        let image = self.image.finish().map_err(JobError::Image)?;
        Ok(facts(&image, &index, work))
    }
}

pub(super) fn finish_index(index: IndexWriter<SinkStream<Sink>>) -> Result<IndexSummary, JobError> {
    let (mut stream, summary) = index.finish().map_err(JobError::Index)?;
    let finished = stream.sink.finish(&[]);
    finished.map_err(|error| JobError::Index(agent_format::index::IndexWriteError::Io(error)))?;
    Ok(summary)
}

pub(super) fn facts(image: &ImageSummary, index: &IndexSummary, work: &BackupWork) -> ImageFacts {
    let counters = work.image.counters();
    ImageFacts {
        image_size_bytes: image.size_bytes,
        image_blake3: agent_format::Digest::from(image.head_blake3).to_string(),
        index_size_bytes: index.size_bytes,
        index_blake3: index.digest.to_string(),
        cluster_size: 1 << 16,
        virtual_size_bytes: image.virtual_size,
        data_bytes: counters.data_clusters * CLUSTER_BYTES,
        zero_bytes: counters.zero_clusters * CLUSTER_BYTES,
        warnings: work.warnings.clone(),
    }
}
