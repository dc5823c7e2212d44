//! The index of the merged image.

use agent_format::index::{
    ClusterContent, IndexBoundary, IndexHeader, IndexMerge, IndexSummary, IndexWriter,
    MergedRecords,
};
use agent_format::{Digest, ObjectName};
use agent_qcow2::{CLUSTER_BYTES, ImageSink, MergePair, SECTOR_BYTES, SinkStream};

use super::subject::shown;
use crate::transfer::error::{JobError, target as failed};
use crate::transfer::lineage::header_of;
use crate::transfer::reading::open_index;
use crate::transfer::run::Place;

/// A merged index that is complete and durable, and not yet in the place of the kept image's.
pub(super) struct MergedIndex {
    sink: Box<dyn ImageSink>,
    pub(super) summary: IndexSummary,
    pub(super) records: MergedRecords,
}

impl MergedIndex {
    pub(super) fn publish(mut self) -> Result<(), JobError> {
        let published = self.sink.finish(&[]);
        published.map_err(|error| JobError::Index(agent_format::index::IndexWriteError::Io(error)))
    }
}

/// Of the indexes as they were before. `pair` is the images as they were before; without it the merged
/// image exists, and nothing is left to be compared.
pub(super) fn merge(
    removed: &Place,
    kept: &Place,
    base: Option<&ObjectName>,
    pair: Option<&MergePair>,
) -> Result<MergedIndex, JobError> {
    let (mut older, mut newer) = (open_index(removed)?, open_index(kept)?);
    let (before, after) = (*older.header(), *newer.header());
    let base_size = match base {
        Some(base) => header_of(kept.target.as_ref(), base)?.virtual_size,
        None => 0,
    };
    let gap_start = before.cluster_count();
    let gap_end = base_size.div_ceil(CLUSTER_BYTES).min(after.cluster_count());
    let merge = IndexMerge {
        has_parent: base.is_some(),
        older_end: before.cluster_count().min(after.cluster_count()),
        zero: gap_start..gap_end.max(gap_start),
        boundary: boundary(kept, &before, &after, pair)?,
    };
    let sink = kept.target.create_image(&kept.index, None);
    let sink = SinkStream {
        sink: sink.map_err(failed("begin an index"))?,
    };
    let mut writer = IndexWriter::create(sink, after).map_err(JobError::Index)?;
    let records = merge.run(&mut older, &mut newer, &mut writer);
    let records = records.map_err(|source| JobError::MergeIndexes {
        image: kept.image.to_string(),
        source,
    })?;
    let (SinkStream { mut sink }, summary) = writer.finish().map_err(JobError::Index)?;
    let synced = sink.sync();
    synced.map_err(|error| JobError::Index(agent_format::index::IndexWriteError::Io(error)))?;
    Ok(MergedIndex {
        sink,
        summary,
        records,
    })
}

/// The cluster in which the disk ended when it had another size.
fn boundary(
    kept: &Place,
    before: &IndexHeader,
    after: &IndexHeader,
    pair: Option<&MergePair>,
) -> Result<Option<IndexBoundary>, JobError> {
    let size = |header: &IndexHeader| header.size_bytes.next_multiple_of(SECTOR_BYTES);
    let end = size(before).min(size(after));
    if size(before) == size(after) || end.is_multiple_of(CLUSTER_BYTES) {
        return Ok(None);
    }
    let cluster = end / CLUSTER_BYTES;
    let digest = |bytes: &[u8]| Digest::of_cluster(bytes, 1 << CLUSTER_BYTES.ilog2());
    let bytes = shown(kept.target.as_ref(), &kept.image, cluster)?;
    let is_zero = bytes.iter().all(|byte| *byte == 0);
    let older = pair.map(|pair| pair.parent_cluster(cluster)).transpose();
    let older = older.map_err(JobError::Merge)?.flatten();
    Ok(Some(IndexBoundary {
        cluster,
        content: if is_zero {
            ClusterContent::Zero
        } else {
            ClusterContent::Data(digest(&bytes))
        },
        older: older.as_deref().map(digest),
    }))
}
