//! One transfer, from being asked for to its end. A datamover, a datamover API or a broker that does
//! not answer is asked again until the transfer has been silent for too long.

use std::time::Duration;

use agent_contract::{
    ClientError, RefusalKind, TransferId, TransferOutcome, TransferProgress, TransferRequest,
    TransferState, TransferStatus,
};
use services_foundation::error_chain::ErrorChain;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{POLL, Transfer, transfer_id, verb};
use crate::context::FlowContext;
use crate::runner::StepFailure;

/// The first questions follow each other quickly, since many transfers are small.
const FIRST_POLL: Duration = Duration::from_millis(50);

/// Runs the transfer to its end; `tell` is given what is known of it after each answer.
pub(super) async fn run(
    cx: &FlowContext,
    transfer: &Transfer,
    tell: impl Fn(TransferId, TransferProgress),
) -> Result<TransferOutcome, StepFailure> {
    let mut watch = Watch::new(cx, transfer);
    let mut pause = FIRST_POLL;
    loop {
        let trouble = match watch.ask().await {
            Ok(status) => {
                tell(watch.id, status.progress);
                watch.note_progress(status.progress.done_bytes);
                match watch.judge(status)? {
                    Verdict::Done(outcome) => return Ok(outcome),
                    Verdict::GoesOn => None,
                    Verdict::AskAgain(why) => Some(why),
                }
            }
            Err(error) => Some(watch.refused(error).await?),
        };
        watch.note_trouble(trouble);
        watch.give_up_if_silent()?;
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(POLL);
    }
}

enum Verdict {
    Done(TransferOutcome),
    GoesOn,
    /// It ended on something that may pass; asking again goes on from where it stands.
    AskAgain(String),
}

struct Watch<'a> {
    cx: &'a FlowContext,
    transfer: &'a Transfer,
    id: TransferId,
    request: TransferRequest,
    /// Its host has taken it up.
    is_known: bool,
    done_bytes: Option<u64>,
    last_news: Instant,
    trouble: Option<String>,
}

impl<'a> Watch<'a> {
    fn new(cx: &'a FlowContext, transfer: &'a Transfer) -> Self {
        let job = transfer.job.clone();
        Self {
            cx,
            transfer,
            id: transfer_id(cx, verb(&transfer.job), &transfer.key),
            request: TransferRequest {
                epoch: cx.claim().epoch,
                job,
            },
            is_known: false,
            done_bytes: None,
            last_news: Instant::now(),
            trouble: None,
        }
    }

    async fn ask(&self) -> Result<TransferStatus, ClientError> {
        // Never returns once the lease is lost.
        let datamover = match self.cx.datamover().await {
            Ok(datamover) => datamover,
            Err(failure) => return Err(ClientError::Unreachable(failure.into())),
        };
        let host = &self.transfer.host;
        if self.is_known {
            datamover.transfer_show(host, self.id).await
        } else {
            datamover.transfer_start(host, self.id, &self.request).await
        }
    }

    fn note_progress(&mut self, done_bytes: u64) {
        if !self.is_known {
            info!(transfer_id = %self.id, what = self.transfer.what, host = self.transfer.host,
                "transfer is under way");
            self.is_known = true;
        }
        if self.done_bytes != Some(done_bytes) {
            self.done_bytes = Some(done_bytes);
            self.last_news = Instant::now();
        }
    }

    fn judge(&mut self, status: TransferStatus) -> Result<Verdict, StepFailure> {
        let what = &self.transfer.what;
        match status.state {
            TransferState::Done(outcome) => Ok(Verdict::Done(outcome)),
            TransferState::Queued | TransferState::Running => Ok(Verdict::GoesOn),
            TransferState::Failed {
                message,
                is_transient: true,
                ..
            } => {
                self.is_known = false;
                Ok(Verdict::AskAgain(message))
            }
            TransferState::Failed {
                message,
                tenant_message,
                is_transient: false,
            } => Err(StepFailure {
                operator_message: format!("The transfer of {what} failed: {message}"),
                ..StepFailure::new(format!("The transfer of {what} failed: {tenant_message}"))
            }),
            TransferState::Cancelled => Err(StepFailure::new(format!(
                "The transfer of {what} was stopped on its host"
            ))),
        }
    }

    /// What is worth another try says why; anything else is the failure.
    async fn refused(&mut self, error: ClientError) -> Result<String, StepFailure> {
        match error.refusal() {
            Some(RefusalKind::Fenced) => {
                // A newer claim has been seen there: this engine is the one that must stop.
                self.cx.lease().lose();
                self.cx.lease().hold().await;
            }
            Some(RefusalKind::NotFound) if self.is_known => {
                self.is_known = false;
                return Ok("its datamover does not know it any more".to_owned());
            }
            _ => {}
        }
        if error.is_transient() {
            return Ok(ErrorChain(&error).to_string());
        }
        Err(StepFailure::because(
            format!("The transfer of {} cannot be started", self.transfer.what),
            &error,
        ))
    }

    /// Into the log when it begins, when it changes and when it is over; not at each question.
    fn note_trouble(&mut self, trouble: Option<String>) {
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(why) => warn!(what = self.transfer.what, why, "a transfer is in trouble"),
            None => info!(what = self.transfer.what, "the transfer goes on"),
        }
        self.trouble = trouble;
    }

    fn give_up_if_silent(&self) -> Result<(), StepFailure> {
        let patience = self.cx.settings().transfer_silence;
        if self.last_news.elapsed() <= patience {
            return Ok(());
        }
        let message = format!(
            "The transfer of {} has not moved for {} s",
            self.transfer.what,
            patience.as_secs()
        );
        let why = self
            .trouble
            .as_deref()
            .unwrap_or("its datamover says that it runs");
        Err(StepFailure {
            operator_message: format!("{message}: {why}"),
            ..StepFailure::new(message)
        })
    }
}
