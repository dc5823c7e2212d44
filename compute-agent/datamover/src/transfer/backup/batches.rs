//! The plan cut into batches: what is read at once by one thread, and what it is compared with.

use agent_blocks::{Extent, ExtentKind};
use agent_format::Digest;
use agent_qcow2::CLUSTER_BYTES;

use super::previous::{Held, Previous};
use crate::transfer::error::JobError;
use crate::transfer::plan::PlanReader;

/// Data of a batch, which ends at a multiple of it.
const BATCH_BYTES: u64 = 2 << 20;
/// A batch of a fragmented disk has fewer bytes.
const MOST_EXTENTS: usize = 256;
const MOST_RECORDS: usize = 4096;

/// What one thread does at once.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whole clusters in guest order.
    pub(super) extents: Vec<Extent>,
    pub(super) before: Before,
    /// Data of the plan up to the batch's end.
    pub(super) done_bytes: u64,
    /// The first cluster that is not a matter of this batch or those before it.
    pub(super) end_cluster: u64,
}

/// What the clusters of a batch held at the backup before.
#[derive(Debug)]
pub(super) struct Before {
    held: Vec<Held>,
    unknown_from: u64,
}

impl Before {
    /// Whether the cluster holds the same now; no digest is that of a zero cluster.
    pub(super) fn is_same(&self, cluster: u64, now: Option<&Digest>) -> bool {
        if cluster >= self.unknown_from {
            return false;
        }
        let found = self
            .held
            .binary_search_by_key(&cluster, |held| held.cluster);
        match found.ok().and_then(|at| self.held.get(at)) {
            None => now.is_none(),
            Some(held) => now.is_some() && held.digest.as_ref() == now,
        }
    }

    pub(super) fn is_unknown(&self, cluster: u64) -> bool {
        cluster >= self.unknown_from
    }
}

/// Batches in guest order, from a cluster on.
pub(super) struct Batches {
    plan: PlanReader,
    /// Read from the plan, not yet in a batch.
    next: Option<Extent>,
    previous: Option<Previous>,
    /// The first cluster that is not in a batch.
    position: u64,
    size_bytes: u64,
    done_bytes: u64,
}

impl Batches {
    /// With `previous`, the plan must be of all that is allocated: what is left out of it is zero now.
    pub(super) fn new(
        plan: PlanReader,
        previous: Option<Previous>,
        from_cluster: u64,
        size_bytes: u64,
    ) -> Result<Self, JobError> {
        let mut batches = Self {
            plan,
            next: None,
            previous,
            position: from_cluster,
            size_bytes,
            done_bytes: 0,
        };
        batches.pass_over(from_cluster)?;
        Ok(batches)
    }

    fn pass_over(&mut self, from_cluster: u64) -> Result<(), JobError> {
        let from = from_cluster * CLUSTER_BYTES;
        while let Some(extent) = self.take_planned()? {
            let passed = extent.end().min(from).saturating_sub(extent.offset);
            if extent.kind == ExtentKind::Data {
                self.done_bytes += passed;
            }
            if passed < extent.length {
                self.next = Some(Extent {
                    offset: extent.offset + passed,
                    length: extent.length - passed,
                    kind: extent.kind,
                });
                break;
            }
        }
        if let Some(previous) = &mut self.previous {
            while previous.next_before(from_cluster)?.is_some() {}
        }
        Ok(())
    }

    fn take_planned(&mut self) -> Result<Option<Extent>, JobError> {
        match self.next.take() {
            Some(extent) => Ok(Some(extent)),
            None => self.plan.next().transpose().map_err(JobError::Plan),
        }
    }

    /// What the comparison has to say to who reads the result.
    pub(super) fn take_warning(&mut self) -> Option<String> {
        self.previous.as_mut().and_then(Previous::take_warning)
    }

    /// None after the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, JobError> {
        let mut extents: Vec<Extent> = Vec::new();
        let mut held = Vec::new();
        let mut data_bytes = 0;
        while extents.len() < MOST_EXTENTS && held.len() < MOST_RECORDS && data_bytes < BATCH_BYTES
        {
            let Some(mut extent) = self.next_extent(&mut held)? else {
                break;
            };
            if extent.kind == ExtentKind::Data {
                extent = self.cut(extent, BATCH_BYTES - data_bytes);
                data_bytes += extent.length;
                self.done_bytes += extent.length;
            }
            self.position = extent.end().div_ceil(CLUSTER_BYTES);
            if extent.kind == ExtentKind::Data
                && let Some(previous) = &mut self.previous
            {
                while let Some(record) = previous.next_before(self.position)? {
                    held.push(record);
                }
            }
            match extents.last_mut() {
                Some(last) if last.kind == extent.kind && last.end() == extent.offset => {
                    last.length += extent.length;
                }
                _ => extents.push(extent),
            }
        }
        let unknown_from = self.previous.as_ref().map_or(0, Previous::unknown_from);
        Ok((!extents.is_empty()).then_some(Batch {
            extents,
            before: Before { held, unknown_from },
            done_bytes: self.done_bytes,
            end_cluster: self.position,
        }))
    }

    /// The first part of it, the rest is for later.
    fn cut(&mut self, extent: Extent, room: u64) -> Extent {
        let to_boundary = BATCH_BYTES - extent.offset % BATCH_BYTES;
        let length = extent.length.min(room).min(to_boundary);
        if length < extent.length {
            self.next = Some(Extent::data(extent.offset + length, extent.length - length));
        }
        Extent::data(extent.offset, length)
    }

    /// What of the disk comes next: planned, or zero now and something else before.
    fn next_extent(&mut self, held: &mut Vec<Held>) -> Result<Option<Extent>, JobError> {
        let planned = self.take_planned()?;
        let Some(previous) = &mut self.previous else {
            return Ok(planned);
        };
        let gap_end = match planned {
            Some(extent) => extent.offset / CLUSTER_BYTES,
            None => self.size_bytes.div_ceil(CLUSTER_BYTES),
        };
        let mut zero = None;
        if self.position < gap_end && previous.unknown_from() > self.position {
            zero = previous.next_before(gap_end)?;
        }
        let clusters = match zero {
            Some(was) => {
                held.push(was);
                Some(was.cluster..was.cluster + 1)
            }
            // Perhaps only since now.
            None if previous.unknown_from() < gap_end => {
                Some(self.position.max(previous.unknown_from())..gap_end)
            }
            None => None,
        };
        match clusters.filter(|clusters| !clusters.is_empty()) {
            Some(clusters) => {
                self.next = planned;
                let offset = clusters.start * CLUSTER_BYTES;
                let end = self.size_bytes.min(clusters.end * CLUSTER_BYTES);
                Ok(Some(Extent::zero(offset, end - offset)))
            }
            None => Ok(planned),
        }
    }
}
