//! Has the datamovers read every image.

use agent_contract::{TransferJob, TransferOutcome, VerifyJob};
use agent_format::ObjectName;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::plan_verification::{Damage, PlanVerification, PlannedImage};
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers::{self, Transfer};

/// What was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Verified {
    pub(super) bytes: u64,
    pub(super) damage: Vec<Damage>,
}

/// One transfer an image; a repeated step finds the transfers it began.
#[derive(Debug)]
pub(super) struct VerifyImages;

#[async_trait]
impl Step for VerifyImages {
    const NAME: &'static str = "verify_images";
    type Output = Verified;

    async fn run(&self, cx: &StepContext) -> Result<Verified, StepFailure> {
        let plan = cx.output_of::<PlanVerification>()?;
        let wanted = plan.images.iter().map(|(image, planned)| {
            let transfer = transfer(cx, image, planned);
            (image.clone(), transfer)
        });
        let outcomes = transfers::run_all(cx, wanted.collect(), |progress| async move {
            let row = progress.row("Verifying");
            let told = cx
                .db()
                .snapshot_verify_progress(cx.claim(), row.percent, &row.message);
            Ok(told.await?)
        })
        .await?;
        let mut all = Verified::default();
        for (image, outcome) in outcomes {
            let TransferOutcome::Verified {
                verified_bytes,
                damage,
            } = outcome
            else {
                return Err(StepFailure::new(
                    "A datamover answered a verification with something else",
                ));
            };
            all.bytes += verified_bytes;
            if let Some(planned) = plan.images.get(&image) {
                let snapshot_id = planned.snapshot_id;
                let found = damage.into_iter().map(|what| Damage { snapshot_id, what });
                all.damage.extend(found);
            }
        }
        Ok(all)
    }
}

fn transfer(cx: &StepContext, image: &ObjectName, planned: &PlannedImage) -> Transfer {
    Transfer {
        key: image.to_string(),
        host: planned.host.clone(),
        what: format!("verification of image {image}"),
        job: TransferJob::Verify(VerifyJob {
            image: transfers::place(cx, image),
            digests: Some(planned.digests.clone()),
        }),
    }
}
