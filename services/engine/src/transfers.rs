//! Having datamovers move disks, and watching them do it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use agent_contract::{
    ClientError, ImagePlace, RefusalKind, RemoveJob, TransferId, TransferJob, TransferOutcome,
    TransferProgress, TransferRequest, TransferState, TransferStatus,
};
use agent_format::ObjectName;
use futures::StreamExt;
use services_foundation::error_chain::ErrorChain;
use services_types::VolumeId;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// How often a transfer is asked how far it is.
const POLL: Duration = Duration::from_millis(700);

/// One job for a datamover.
pub(crate) struct Transfer {
    /// What in this flow it is for: a volume's id, an image's name. With the verb it is the identity.
    pub(crate) key: String,
    /// The host that has the source; another takes over where that is possible.
    pub(crate) host: String,
    /// For messages: which disk of which server.
    pub(crate) what: String,
    pub(crate) job: TransferJob,
}

/// Sums over all transfers of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) bytes_per_second: u64,
}

impl Progress {
    /// For the row of a snapshot or a restore: `Uploading 12 of 300 MiB, 80 MiB/s`.
    pub(crate) fn row(&self, doing: &str) -> services_db::Progress {
        services_db::Progress {
            percent: self.percent(),
            message: format!("{doing} {}", self.in_words()),
            size_bytes: self.total_bytes,
            uploaded_bytes: self.done_bytes,
        }
    }

    /// 0 to 99; 100 is for the publishing step to say.
    fn percent(&self) -> u8 {
        let percent = match self.total_bytes {
            0 => 0,
            total => self.done_bytes.saturating_mul(100) / total,
        };
        u8::try_from(percent).unwrap_or(u8::MAX).min(99)
    }

    fn in_words(&self) -> String {
        format!(
            "{} of {} MiB, {} MiB/s",
            self.done_bytes >> 20,
            self.total_bytes >> 20,
            self.bytes_per_second >> 20
        )
    }
}

/// Where an image of this name lies.
pub(crate) fn place(cx: &FlowContext, name: &ObjectName) -> ImagePlace {
    ImagePlace {
        target: cx.settings().target_id.clone(),
        name: name.to_string(),
    }
}

/// Derived, so that a repeated step finds the transfer it began.
fn transfer_id(cx: &FlowContext, verb: &str, key: &str) -> TransferId {
    let name = format!("{verb} {key}");
    TransferId(Uuid::new_v5(cx.claim().flow_id.as_uuid(), name.as_bytes()))
}

fn verb(job: &TransferJob) -> &'static str {
    match job {
        TransferJob::Backup(_) => "backup",
        TransferJob::Restore(_) => "restore",
        TransferJob::Remove(_) => "remove",
    }
}

/// Runs the transfers, several at a time, until all are done; the first failure ends the wait (what
/// is under way is stopped by the undo). `report` is called with the sums, at most once each poll.
pub(crate) async fn run_all<K, R, F>(
    cx: &FlowContext,
    transfers: Vec<(K, Transfer)>,
    report: R,
) -> Result<BTreeMap<K, TransferOutcome>, StepFailure>
where
    K: Ord + Send,
    R: Fn(Progress) -> F + Send,
    F: Future<Output = Result<(), StepFailure>> + Send,
{
    let (tell, mut told) = watch::channel(BTreeMap::<TransferId, TransferProgress>::new());
    let all = futures::stream::iter(transfers.into_iter().map(|(of, transfer)| {
        let tell = tell.clone();
        async move {
            let outcome = run(cx, &transfer, |id, progress| {
                tell.send_modify(|all| {
                    all.insert(id, progress);
                });
            })
            .await?;
            Ok::<_, StepFailure>((of, outcome))
        }
    }))
    .buffer_unordered(cx.settings().transfers_per_flow.max(1));
    let collected = async {
        futures::pin_mut!(all);
        let mut outcomes = BTreeMap::new();
        while let Some(result) = all.next().await {
            let (of, outcome) = result?;
            outcomes.insert(of, outcome);
        }
        Ok(outcomes)
    };
    let reporting = async {
        while told.changed().await.is_ok() {
            let sums = sum(told.borrow_and_update().values());
            report(sums).await?;
            cx.stop_if_cancelled().await?;
        }
        std::future::pending::<Result<(), StepFailure>>().await
    };
    tokio::select! {
        outcomes = collected => outcomes,
        failed = reporting => Err(failed.err().unwrap_or_else(StepFailure::cancelled)),
    }
}

fn sum<'a>(all: impl Iterator<Item = &'a TransferProgress>) -> Progress {
    all.fold(Progress::default(), |sum, one| Progress {
        done_bytes: sum.done_bytes + one.done_bytes,
        total_bytes: sum.total_bytes + one.total_bytes,
        bytes_per_second: sum.bytes_per_second + one.bytes_per_second,
    })
}

/// Runs one transfer to its end. A datamover, a datamover API or a broker that does not answer is
/// asked again until the transfer has been silent for too long.
async fn run(
    cx: &FlowContext,
    transfer: &Transfer,
    tell: impl Fn(TransferId, TransferProgress),
) -> Result<TransferOutcome, StepFailure> {
    let id = transfer_id(cx, verb(&transfer.job), &transfer.key);
    let request = TransferRequest {
        epoch: cx.claim().epoch,
        job: transfer.job.clone(),
    };
    let patience = cx.settings().transfer_silence;
    let mut last_news = Instant::now();
    let mut last_done = None;
    let mut is_known = false;
    loop {
        let datamover = cx.datamover().await?;
        let answer = if is_known {
            datamover.transfer_show(&transfer.host, id).await
        } else {
            datamover.transfer_start(&transfer.host, id, &request).await
        };
        let why = match answer {
            Ok(status) => {
                tell(id, status.progress);
                if !is_known {
                    info!(transfer_id = %id, what = transfer.what, host = transfer.host, "transfer is under way");
                }
                is_known = true;
                if last_done != Some(status.progress.done_bytes) {
                    last_done = Some(status.progress.done_bytes);
                    last_news = Instant::now();
                }
                match judge(transfer, status)? {
                    Verdict::Done(outcome) => return Ok(outcome),
                    Verdict::GoesOn => "it makes no progress".to_owned(),
                    Verdict::AskAgain(why) => {
                        is_known = false;
                        why
                    }
                }
            }
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) && is_known => {
                is_known = false;
                "its datamover does not know it any more".to_owned()
            }
            Err(error) => refused(cx, transfer, error).await?,
        };
        if last_news.elapsed() > patience {
            return Err(StepFailure::new(format!(
                "The transfer of {} has not moved for {} s: {why}",
                transfer.what,
                patience.as_secs()
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

enum Verdict {
    Done(TransferOutcome),
    GoesOn,
    /// It ended on something that may pass; asking again goes on from where it stands.
    AskAgain(String),
}

fn judge(transfer: &Transfer, status: TransferStatus) -> Result<Verdict, StepFailure> {
    match status.state {
        TransferState::Done(outcome) => Ok(Verdict::Done(outcome)),
        TransferState::Queued | TransferState::Running => Ok(Verdict::GoesOn),
        TransferState::Failed {
            message,
            is_transient: true,
            ..
        } => {
            warn!(
                what = transfer.what,
                message, "transfer ended early and is started again"
            );
            Ok(Verdict::AskAgain(message))
        }
        TransferState::Failed {
            message,
            tenant_message,
            is_transient: false,
        } => Err(StepFailure {
            operator_message: format!("The transfer of {} failed: {message}", transfer.what),
            ..StepFailure::new(format!(
                "The transfer of {} failed: {tenant_message}",
                transfer.what
            ))
        }),
        TransferState::Cancelled => Err(StepFailure::new(format!(
            "The transfer of {} was stopped on its host",
            transfer.what
        ))),
    }
}

/// What is worth another try says why; anything else is the failure.
async fn refused(
    cx: &FlowContext,
    transfer: &Transfer,
    error: ClientError,
) -> Result<String, StepFailure> {
    if error.refusal() == Some(RefusalKind::Fenced) {
        // A newer claim has been seen there: this engine is the one that must stop.
        cx.lease().lose();
        cx.lease().hold().await;
    }
    if error.is_transient() {
        warn!(what = transfer.what, cause = %ErrorChain(&error), "datamover is asked again");
        return Ok(ErrorChain(&error).to_string());
    }
    Err(StepFailure::because(
        format!("The transfer of {} cannot be started", transfer.what),
        &error,
    ))
}

/// Stops the backup of this volume in this flow, and takes its image off the target, whole or not.
pub(crate) async fn drop_image(
    cx: &FlowContext,
    host: &str,
    volume_id: &VolumeId,
    image: &ObjectName,
) -> Result<(), StepFailure> {
    cancel(cx, "backup", host, volume_id).await?;
    remove_image(cx, host, image).await
}

/// Takes an image and its index off the target; gone already is success.
pub(crate) async fn remove_image(
    cx: &FlowContext,
    host: &str,
    image: &ObjectName,
) -> Result<(), StepFailure> {
    let transfer = Transfer {
        key: image.to_string(),
        host: host.to_owned(),
        what: format!("removal of image {image}"),
        job: TransferJob::Remove(RemoveJob {
            image: place(cx, image),
        }),
    };
    run(cx, &transfer, |_, _| {}).await.map(drop)
}

/// Stops a transfer of this flow; one that never began is success.
pub(crate) async fn cancel(
    cx: &FlowContext,
    verb: &str,
    host: &str,
    volume_id: &VolumeId,
) -> Result<(), StepFailure> {
    let id = transfer_id(cx, verb, volume_id.as_str());
    let limit = Instant::now() + cx.settings().transfer_silence;
    loop {
        let asked = cx
            .datamover()
            .await?
            .transfer_cancel(host, id, cx.claim().epoch)
            .await;
        match asked {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && Instant::now() < limit => {
                tokio::time::sleep(POLL).await;
            }
            Err(error) => {
                return Err(StepFailure::because(
                    format!("The transfer of volume {volume_id} cannot be stopped on its host"),
                    &error,
                ));
            }
        }
    }
}
