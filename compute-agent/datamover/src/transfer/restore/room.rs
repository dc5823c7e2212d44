//! What is to be written, counted, and room made for it before the first byte is.

use std::ops::Range;

use agent_blocks::WriteDisk;
use agent_contract::RestoreJob;
use agent_qcow2::ExtentKind;

use super::source::Source;
use crate::transfer::error::{JobError, disk};
use crate::transfer::run::Run;

/// From so many bytes on, a range is worth a call.
const WORTH_BYTES: u64 = 1 << 20;

/// Makes room for the data from `offset` to the disk's end, and says how much that is.
pub(super) fn make(
    run: &Run<'_>,
    job: &RestoreJob,
    source: &Source,
    destination: &dyn WriteDisk,
    offset: u64,
) -> Result<u64, JobError> {
    let reserve = |range: Range<u64>| {
        let end = range.end.min(job.size_bytes);
        let length = end.saturating_sub(range.start);
        if length < WORTH_BYTES {
            return Ok(());
        }
        run.ticket.check()?;
        let reserved = destination.reserve(range.start, length);
        reserved.map_err(disk("get space on the volume"))
    };
    let mut data_bytes = 0;
    let mut range = offset..offset;
    for extent in source.chain.extents(offset..u64::MAX) {
        let extent = extent.map_err(JobError::Chain)?;
        if extent.kind == ExtentKind::Zero {
            continue;
        }
        data_bytes += extent.length;
        if extent.guest_offset != range.end {
            reserve(range)?;
            range = extent.guest_offset..extent.guest_offset;
        }
        range.end = extent.guest_end();
    }
    reserve(range)?;
    Ok(data_bytes)
}
