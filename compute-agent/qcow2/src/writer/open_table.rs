//! The L2 table that is being filled.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::FLAG_COPIED;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, L2_ENTRIES};

/// Bit 0 of an L2 entry: reads as zeroes.
const FLAG_ZERO: u64 = 1;

/// One L2 table; kept as runs, since data that is contiguous in the guest mostly is so in the file.
/// At worst each entry is a run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenTable {
    l1_index: u64,
    runs: Vec<Run>,
}

/// Guest clusters (counted from the table's first) that lie one after the other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64)", into = "(u64, u64, u64)")]
struct Run {
    first: u64,
    count: u64,
    /// 0 if they are zero, else where the data begins.
    host_cluster: u64,
}

impl From<(u64, u64, u64)> for Run {
    fn from((first, count, host_cluster): (u64, u64, u64)) -> Self {
        Self {
            first,
            count,
            host_cluster,
        }
    }
}

impl From<Run> for (u64, u64, u64) {
    fn from(run: Run) -> Self {
        (run.first, run.count, run.host_cluster)
    }
}

impl OpenTable {
    pub(super) fn new(l1_index: u64) -> Self {
        Self {
            l1_index,
            runs: Vec::new(),
        }
    }

    pub(super) fn l1_index(&self) -> u64 {
        self.l1_index
    }

    fn first_guest_cluster(&self) -> u64 {
        self.l1_index * L2_ENTRIES
    }

    /// The guest cluster after the table's last.
    pub(super) fn end(&self) -> u64 {
        self.first_guest_cluster() + L2_ENTRIES
    }

    pub(super) fn map_data(&mut self, guest_clusters: Range<u64>, offset: u64) {
        self.map(guest_clusters, offset / CLUSTER_BYTES);
    }

    pub(super) fn map_zero(&mut self, guest_clusters: Range<u64>) {
        self.map(guest_clusters, 0);
    }

    fn map(&mut self, guest_clusters: Range<u64>, host_cluster: u64) {
        let first = guest_clusters.start - self.first_guest_cluster();
        let count = guest_clusters.end - guest_clusters.start;
        if let Some(last) = self.runs.last_mut() {
            let follows = if host_cluster == 0 {
                last.host_cluster == 0
            } else {
                last.host_cluster > 0 && last.host_cluster + last.count == host_cluster
            };
            if follows && last.first + last.count == first {
                last.count += count;
                return;
            }
        }
        self.runs.push(Run {
            first,
            count,
            host_cluster,
        });
    }

    /// Whether a table read from a checkpoint is one that the writer can have had, given that
    /// `next` is the next guest cluster and the file has `host_clusters`.
    pub(super) fn is_possible(&self, next: u64, host_clusters: u64) -> bool {
        let mut from = 0;
        for run in &self.runs {
            let end = run.first.checked_add(run.count);
            let host_end = run.host_cluster.checked_add(run.count);
            let in_table = run.first >= from && end.is_some_and(|end| end <= L2_ENTRIES);
            let in_file = host_end.is_some_and(|end| run.host_cluster == 0 || end <= host_clusters);
            if run.count == 0 || !in_table || !in_file {
                return false;
            }
            from = run.first + run.count;
        }
        let first = self.l1_index.checked_mul(L2_ENTRIES);
        !self.runs.is_empty() && first.and_then(|first| first.checked_add(from)) == Some(next)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CLUSTER_LENGTH);
        for run in &self.runs {
            out.resize(length_of(run.first), 0);
            for n in 0..run.count {
                let entry = match run.host_cluster {
                    0 => FLAG_ZERO,
                    host => ((host + n) * CLUSTER_BYTES) | FLAG_COPIED,
                };
                out.extend(entry.to_be_bytes());
            }
        }
        out.resize(CLUSTER_LENGTH, 0);
        out
    }
}

fn length_of(entries: u64) -> usize {
    usize::try_from(entries * 8).unwrap_or(CLUSTER_LENGTH)
}
