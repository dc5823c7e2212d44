//! Having datamovers move disks, and watching them do it.

mod progress;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use agent_contract::{
    ImageFacts, ImagePlace, MergeJob, RemoveJob, TransferId, TransferJob, TransferOutcome,
    TransferProgress,
};
use agent_format::ObjectName;
use futures::StreamExt;
use services_types::DiskId;
use tokio::time::Instant;
use uuid::Uuid;

use self::progress::Progress;
use crate::context::FlowContext;
use crate::runner::StepFailure;

/// How often sums are reported and a cancellation is looked for.
const POLL: Duration = Duration::from_millis(800);

/// One job for a datamover.
pub(crate) struct Transfer {
    /// What in this flow it is for: a disk's id, an image's name. With the verb it is the identity.
    pub(crate) key: String,
    /// The host that has the source; another takes over where that is possible.
    pub(crate) host: String,
    /// For messages: which disk of which server.
    pub(crate) what: String,
    pub(crate) job: TransferJob,
}

/// Where an image of this name lies.
pub(crate) fn place(cx: &FlowContext, name: &ObjectName) -> ImagePlace {
    ImagePlace {
        target: cx.target_id(),
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
        TransferJob::Merge(_) => "merge",
        TransferJob::Verify(_) => "verify",
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
    let (tell, mut told) =
        tokio::sync::watch::channel(BTreeMap::<TransferId, TransferProgress>::new());
    let all = futures::stream::iter(transfers.into_iter().map(|(of, transfer)| {
        let tell = tell.clone();
        async move {
            let outcome = watch::run(cx, &transfer, |id, progress| {
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
        let mut tick = tokio::time::interval(POLL);
        loop {
            tick.tick().await;
            cx.stop_if_cancelled().await?;
            if told.has_changed().unwrap_or(false) {
                let sums = Progress::sum(told.borrow_and_update().values());
                report(sums).await?;
            }
        }
    };
    tokio::select! {
        outcomes = collected => outcomes,
        failed = reporting => failed,
    }
}

/// Has an image merged into the only one that builds on it; gives what that one has become.
pub(crate) async fn merge_image(
    cx: &FlowContext,
    host: &str,
    image: &ObjectName,
    successor: &ObjectName,
) -> Result<ImageFacts, StepFailure> {
    let transfer = Transfer {
        key: image.to_string(),
        host: host.to_owned(),
        what: format!("merge of image {image}"),
        job: TransferJob::Merge(MergeJob {
            image: place(cx, image),
            successor: place(cx, successor),
        }),
    };
    match watch::run(cx, &transfer, |_, _| {}).await? {
        TransferOutcome::Merged(facts) => Ok(facts),
        _ => Err(StepFailure::new(
            "A datamover answered a merge with something else",
        )),
    }
}

/// Stops the backup of this disk in this flow, and takes its image off the target, whole or not.
pub(crate) async fn drop_image(
    cx: &FlowContext,
    host: &str,
    disk_id: &DiskId,
    image: &ObjectName,
) -> Result<(), StepFailure> {
    cancel(cx, "backup", host, disk_id).await?;
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
    watch::run(cx, &transfer, |_, _| {}).await.map(drop)
}

/// Stops a transfer of this flow; one that never began is success.
pub(crate) async fn cancel(
    cx: &FlowContext,
    verb: &str,
    host: &str,
    disk_id: &DiskId,
) -> Result<(), StepFailure> {
    cancel_of(cx, verb, host, &disk_id.to_string()).await
}

/// As [`cancel`], of a transfer that is for something else than a disk.
pub(crate) async fn cancel_of(
    cx: &FlowContext,
    verb: &str,
    host: &str,
    key: &str,
) -> Result<(), StepFailure> {
    let id = transfer_id(cx, verb, key);
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
                    format!("The transfer of {key} cannot be stopped on its host"),
                    &error,
                ));
            }
        }
    }
}
