//! The index of an image and the one that builds upon it, as the one that a merge makes of both has it.

use std::io::{Read, Write};
use std::ops::Range;

use super::{
    ClusterContent, IndexReadError, IndexReader, IndexRecord, IndexWriteError, IndexWriter,
};
use crate::Digest;

/// What a merge does to the records, besides that the newer image's win.
#[derive(Debug, Clone, Default)]
pub struct IndexMerge {
    /// The merged image builds upon another one: what is declared to be zero stays declared.
    pub has_parent: bool,
    /// Clusters from here on are not seen through the newer image, whatever the older one holds.
    pub older_end: u64,
    /// Declared to be zero where neither image says anything.
    pub zero: Range<u64>,
    /// A cluster that shows neither what the older image holds nor zero.
    pub boundary: Option<IndexBoundary>,
}

/// The cluster in which the disk ended when it had another size.
#[derive(Debug, Clone, Copy)]
pub struct IndexBoundary {
    /// Which.
    pub cluster: u64,
    /// What the merged image holds there, unless the newer one has a record of it.
    pub content: ClusterContent,
    /// What the older image holds there, to be compared with its record.
    pub older: Option<Digest>,
}

/// What a merged index says, in clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergedRecords {
    /// With data.
    pub data_clusters: u64,
    /// Declared to be zero.
    pub zero_clusters: u64,
}

/// Why two indexes cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum IndexMergeError {
    /// They are of images that cannot build upon each other.
    #[error("the indexes have different cluster sizes or digests")]
    Mismatch,
    /// The older one cannot be read.
    #[error("cannot read the older index")]
    Older(#[source] IndexReadError),
    /// The newer one cannot be read.
    #[error("cannot read the newer index")]
    Newer(#[source] IndexReadError),
    /// The older image's cluster is not what its index says.
    #[error("cluster {cluster} of the older image is not what was backed up")]
    Damaged {
        /// The cluster.
        cluster: u64,
    },
    /// The merged one cannot be written.
    #[error("cannot write the merged index")]
    Write(#[source] IndexWriteError),
}

impl IndexMerge {
    /// Writes the records of the merged image to `out`, in one pass; both indexes are read to their ends,
    /// so that damage to either is found.
    pub fn run<W: Write>(
        &self,
        older: &mut IndexReader<impl Read>,
        newer: &mut IndexReader<impl Read>,
        out: &mut IndexWriter<W>,
    ) -> Result<MergedRecords, IndexMergeError> {
        let (a, b) = (older.header(), newer.header());
        let is_alike = a.cluster_size == b.cluster_size
            && a.algorithm == b.algorithm
            && a.is_keyed == b.is_keyed;
        if !is_alike {
            return Err(IndexMergeError::Mismatch);
        }
        let mut merging = Merging {
            merge: self,
            zero: self.zero.clone(),
            boundary: self.boundary,
            records: MergedRecords::default(),
        };
        let mut next = || older.next().transpose().map_err(IndexMergeError::Older);
        let mut old = next()?;
        let mut new = newer.next().transpose().map_err(IndexMergeError::Newer)?;
        while let Some(cluster) = merging.lowest(old, new) {
            let covered = old.take_if(|record| record.cluster == cluster);
            let newest = new.take_if(|record| record.cluster == cluster);
            merging.push(cluster, covered, newest, out)?;
            if covered.is_some() {
                old = next()?;
            }
            if newest.is_some() {
                new = newer.next().transpose().map_err(IndexMergeError::Newer)?;
            }
        }
        Ok(merging.records)
    }
}

struct Merging<'a> {
    merge: &'a IndexMerge,
    /// Not yet passed.
    zero: Range<u64>,
    /// Not yet passed.
    boundary: Option<IndexBoundary>,
    records: MergedRecords,
}

impl Merging<'_> {
    /// The next cluster that anything is said of.
    fn lowest(&self, old: Option<IndexRecord>, new: Option<IndexRecord>) -> Option<u64> {
        let zero = (!self.zero.is_empty()).then_some(self.zero.start);
        let boundary = self.boundary.map(|boundary| boundary.cluster);
        let records = [old, new].map(|record| record.map(|record| record.cluster));
        let all = records.into_iter().chain([zero, boundary]);
        all.flatten().min()
    }

    fn push<W: Write>(
        &mut self,
        cluster: u64,
        old: Option<IndexRecord>,
        new: Option<IndexRecord>,
        out: &mut IndexWriter<W>,
    ) -> Result<(), IndexMergeError> {
        let zero = self.zero.contains(&cluster).then_some(ClusterContent::Zero);
        if zero.is_some() {
            self.zero.start = cluster + 1;
        }
        let boundary = self.boundary.take_if(|given| given.cluster == cluster);
        if let (Some(given), Some(old)) = (boundary, old) {
            check(&given, old.content)?;
        }
        let old = old.filter(|_| cluster < self.merge.older_end);
        let content = new
            .map(|record| record.content)
            .or(boundary.map(|given| given.content))
            .or(zero)
            .or(old.map(|record| record.content));
        match content {
            Some(ClusterContent::Zero) if self.merge.has_parent => self.records.zero_clusters += 1,
            Some(ClusterContent::Data(_)) => self.records.data_clusters += 1,
            Some(ClusterContent::Zero) | None => return Ok(()),
        }
        let record = content.map(|content| IndexRecord { cluster, content });
        record.map_or(Ok(()), |record| {
            out.push(record).map_err(IndexMergeError::Write)
        })
    }
}

fn check(given: &IndexBoundary, content: ClusterContent) -> Result<(), IndexMergeError> {
    match (given.older, content) {
        (Some(found), ClusterContent::Data(expected)) if found != expected => {
            Err(IndexMergeError::Damaged {
                cluster: given.cluster,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::IndexHeader;
    use super::*;
    use crate::HashAlgorithm;

    const DATA: u8 = 1;
    const ZERO: u8 = 0;

    fn header(clusters: u64) -> IndexHeader {
        IndexHeader {
            cluster_size: 65536,
            size_bytes: clusters << 16,
            algorithm: HashAlgorithm::Blake3,
            is_keyed: false,
        }
    }

    fn content(of: u8) -> ClusterContent {
        match of {
            ZERO => ClusterContent::Zero,
            seed => ClusterContent::Data(Digest::of(&[seed])),
        }
    }

    fn index(clusters: u64, records: &[(u64, u8)]) -> Vec<u8> {
        let mut writer = IndexWriter::create(Vec::new(), header(clusters)).unwrap();
        for (cluster, of) in records {
            let record = IndexRecord {
                cluster: *cluster,
                content: content(*of),
            };
            writer.push(record).unwrap();
        }
        writer.finish().unwrap().0
    }

    fn merged(
        merge: &IndexMerge,
        older: &[u8],
        newer: &[u8],
    ) -> Result<Vec<(u64, ClusterContent)>, IndexMergeError> {
        let mut older = IndexReader::open(older).unwrap();
        let mut newer = IndexReader::open(newer).unwrap();
        let mut out = IndexWriter::create(Vec::new(), *newer.header()).unwrap();
        let counts = merge.run(&mut older, &mut newer, &mut out)?;
        let (bytes, _) = out.finish().unwrap();
        let records: Result<Vec<_>, _> = IndexReader::open(&bytes[..]).unwrap().collect();
        let records = records.unwrap();
        let data = |r: &&IndexRecord| matches!(r.content, ClusterContent::Data(_));
        assert_eq!(
            records.iter().filter(data).count() as u64,
            counts.data_clusters
        );
        let all = counts.data_clusters + counts.zero_clusters;
        assert_eq!(records.len() as u64, all);
        Ok(records.iter().map(|r| (r.cluster, r.content)).collect())
    }

    fn expected(records: &[(u64, u8)]) -> Vec<(u64, ClusterContent)> {
        let of = |(cluster, of): &(u64, u8)| (*cluster, content(*of));
        records.iter().map(of).collect()
    }

    #[test]
    fn the_newer_record_wins_and_zeroes_stay_only_above_a_parent() {
        let older = index(10, &[(0, DATA), (1, DATA), (2, DATA), (3, ZERO), (9, DATA)]);
        let newer = index(10, &[(1, 2), (2, ZERO), (4, 3), (5, ZERO)]);
        let mut merge = IndexMerge {
            older_end: 10,
            ..IndexMerge::default()
        };
        let alone = merged(&merge, &older, &newer).unwrap();
        assert_eq!(alone, expected(&[(0, DATA), (1, 2), (4, 3), (9, DATA)]));
        merge.has_parent = true;
        let records = [
            (0, DATA),
            (1, 2),
            (2, ZERO),
            (3, ZERO),
            (4, 3),
            (5, ZERO),
            (9, DATA),
        ];
        assert_eq!(merged(&merge, &older, &newer).unwrap(), expected(&records));
    }

    #[test]
    fn a_disk_of_another_size_hides_its_old_end() {
        let older = index(10, &[(4, DATA), (5, DATA), (7, DATA)]);
        let newer = index(6, &[(2, 9)]);
        let merge = IndexMerge {
            older_end: 6,
            boundary: Some(IndexBoundary {
                cluster: 5,
                content: content(7),
                older: Some(Digest::of(&[DATA])),
            }),
            ..IndexMerge::default()
        };
        let smaller = merged(&merge, &older, &newer).unwrap();
        assert_eq!(smaller, expected(&[(2, 9), (4, DATA), (5, 7)]));
        let merge = IndexMerge {
            has_parent: true,
            older_end: 10,
            zero: 10..13,
            boundary: None,
        };
        let larger = merged(&merge, &older, &index(14, &[(11, 4)])).unwrap();
        let records = [
            (4, DATA),
            (5, DATA),
            (7, DATA),
            (10, ZERO),
            (11, 4),
            (12, ZERO),
        ];
        assert_eq!(larger, expected(&records));
    }

    #[test]
    fn a_boundary_that_was_damaged_is_not_made_good() {
        let older = index(10, &[(5, DATA)]);
        let merge = IndexMerge {
            older_end: 6,
            boundary: Some(IndexBoundary {
                cluster: 5,
                content: content(7),
                older: Some(Digest::of(&[99])),
            }),
            ..IndexMerge::default()
        };
        let error = merged(&merge, &older, &index(6, &[])).unwrap_err();
        assert!(matches!(error, IndexMergeError::Damaged { cluster: 5 }));
    }

    #[test]
    fn damage_behind_the_last_record_that_counts_is_found() {
        let mut older = index(10, &[(0, DATA), (9, DATA)]);
        let last = older.len() - 1;
        older[last] ^= 1;
        let merge = IndexMerge {
            older_end: 1,
            ..IndexMerge::default()
        };
        let error = merged(&merge, &older, &index(1, &[(0, 2)])).unwrap_err();
        assert!(matches!(error, IndexMergeError::Older(_)));
    }
}
