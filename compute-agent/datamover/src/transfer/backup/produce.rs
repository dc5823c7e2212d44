use std::path::Path;
use std::sync::mpsc::SyncSender;

use agent_blocks::{BlocksError, Chunk, DiskSource, Extent, ReadPlan, extent::clip};
use agent_qcow2::CLUSTER_BYTES;

use crate::transfer::clusters::{Assembler, Piece};
use crate::transfer::error::{JobError, disk};
use crate::transfer::plan;
use crate::transfer::run::Run;

/// What the reader tells the writer; without an end something was lost on the way.
pub(super) enum Step {
    Piece(Piece),
    End,
}

type Steps = SyncSender<Result<Step, JobError>>;

/// Reads the plan from a cluster on, as whole clusters. Returns early if nobody listens any more.
pub(super) fn produce(
    run: &Run<'_>,
    source: &dyn DiskSource,
    plan: &Path,
    from_cluster: u64,
    steps: &Steps,
) -> Result<(), JobError> {
    let read = disk("read the disk");
    let size_bytes = source.size_bytes();
    // A reader stops at an error of its extents without saying which it was: keep ours aside.
    let broken = std::sync::Mutex::new(None);
    let extents = plan::read(plan)?.map_while(|extent| match extent {
        Ok(extent) => Some(Ok::<Extent, BlocksError>(extent)),
        Err(error) => {
            *broken
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
            None
        }
    });
    let extents = clip(extents, from_cluster * CLUSTER_BYTES..size_bytes);
    let mut reader = source.open_reader().map_err(read)?;
    let mut assembler = Assembler::new(size_bytes);
    for chunk in reader.read(Box::new(extents), ReadPlan::default()) {
        let chunk = chunk.map_err(read)?;
        if let Chunk::Data { bytes, .. } = &chunk {
            let length = bytes.len() as u64;
            run.ticket.has_read(length);
            run.host.throttle.pass(length, run.ticket)?;
        }
        for piece in assembler.push(chunk)? {
            if steps.send(Ok(Step::Piece(piece))).is_err() {
                return Ok(());
            }
        }
    }
    let broken = broken
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(error) = broken {
        return Err(JobError::Plan(error));
    }
    assembler.finish()?;
    // The writer has gone only if it failed.
    let _nobody_listens = steps.send(Ok(Step::End));
    Ok(())
}
