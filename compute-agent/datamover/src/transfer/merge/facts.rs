//! What a merged image is.

use agent_contract::ImageFacts;
use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexSummary, MergedRecords};
use agent_qcow2::{CLUSTER_BYTES, MergedImage};

use super::indexes::MergedIndex;
use super::subject::head_digest;
use crate::transfer::error::{JobError, target as failed};
use crate::transfer::lineage::header_of;
use crate::transfer::reading::open_index;
use crate::transfer::run::Place;

/// Of what was made just now.
pub(super) fn made(image: &MergedImage, index: &MergedIndex) -> ImageFacts {
    facts(image, &index.summary, index.records)
}

/// Of what was made before: all of the index is read.
pub(super) fn of(place: &Place) -> Result<ImageFacts, JobError> {
    let stat = place.target.stat(&place.image);
    let stat = stat.map_err(failed("look at a merged image"))?;
    let header = header_of(place.target.as_ref(), &place.image)?;
    let image = MergedImage {
        size_bytes: stat.map_or(0, |stat| stat.size_bytes),
        virtual_size: header.virtual_size,
        head_blake3: *head_digest(place)?.as_bytes(),
    };
    let mut index = open_index(place)?;
    let mut records = MergedRecords::default();
    for record in index.by_ref() {
        let record = record.map_err(|source| JobError::ReadIndex {
            image: place.image.to_string(),
            source,
        })?;
        match record.content {
            ClusterContent::Data(_) => records.data_clusters += 1,
            ClusterContent::Zero => records.zero_clusters += 1,
        }
    }
    let summary = index.summary().ok_or(JobError::Broken)?;
    Ok(facts(&image, &summary, records))
}

fn facts(image: &MergedImage, index: &IndexSummary, records: MergedRecords) -> ImageFacts {
    ImageFacts {
        image_size_bytes: image.size_bytes,
        image_blake3: Digest::from(image.head_blake3).to_string(),
        index_size_bytes: index.size_bytes,
        index_blake3: index.digest.to_string(),
        virtual_size_bytes: image.virtual_size,
        cluster_size: 1 << CLUSTER_BYTES.ilog2(),
        data_bytes: records.data_clusters * CLUSTER_BYTES,
        zero_bytes: records.zero_clusters * CLUSTER_BYTES,
        warnings: Vec::new(),
    }
}
