//! Makes the snapshot one that can be restored, and lets go of the workload, in one transaction.

use async_trait::async_trait;
use services_db::SnapshotOutcome;
use services_types::SnapshotStatus;

use super::disconnect_volumes::DisconnectVolumes;
use super::drop_superseded::DropSuperseded;
use super::end_points::EndPoints;
use super::freeze_guests::FreezeGuests;
use super::plan_disks::PlanDisks;
use super::read_topology::{ReadTopology, vms};
use super::take_points::TakePoints;
use super::thaw_guests::ThawGuests;
use super::upload_disks::UploadDisks;
use crate::retention;
use crate::runner::{Step, StepContext, StepFailure};

/// Publishes the snapshot with its sizes and warnings.
#[derive(Debug)]
pub(super) struct Publish;

#[async_trait]
impl Step for Publish {
    const NAME: &'static str = "publish";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let images = cx.output_of::<UploadDisks>()?;
        let mut warnings = plan.warnings.clone();
        warnings.extend(cx.output_of::<FreezeGuests>()?);
        warnings.extend(cx.output_of::<TakePoints>()?.warnings);
        warnings.extend(cx.output_of::<ThawGuests>()?);
        warnings.extend(images.values().flat_map(|it| it.image.warnings.clone()));
        warnings.extend(cx.output_of::<DisconnectVolumes>()?);
        warnings.extend(cx.output_of::<EndPoints>()?);
        warnings.extend(cx.output_of::<DropSuperseded>()?);
        let topology = cx.output_of::<ReadTopology>()?;
        cx.db()
            .snapshot_vms_set(cx.claim(), vms(&topology, SnapshotStatus::Available))
            .await?;
        let outcome = SnapshotOutcome {
            size_bytes: images.values().map(|it| it.image.image_size_bytes).sum(),
            uploaded_bytes: images
                .values()
                .map(|it| it.image.image_size_bytes + it.image.index_size_bytes)
                .sum(),
            restore_bytes: images.values().map(|it| it.size_bytes).sum(),
            message: "Snapshot of workload is complete".to_owned(),
            warning: (!warnings.is_empty()).then(|| warnings.join("\n")),
        };
        Ok(cx
            .db()
            .snapshot_publish(cx.claim(), outcome, retention::next(cx, None).await)
            .await?)
    }
}
