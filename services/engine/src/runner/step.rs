//! A step of a flow, and how steno sees it.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steno::{Action, ActionContext, ActionError, ActionName, ActionResult, SagaType, UndoResult};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::StepFailure;
use crate::FlowContext;

/// Between attempts to run or undo a step: doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One step: `run` beside `undo`. Both may be run twice, by two engines one after the other, and
/// `undo` also after a `run` that did half of its work.
#[async_trait]
pub(crate) trait Step: fmt::Debug + Send + Sync + 'static {
    /// What it is called in the flow's log and in messages; unique in its flow, never changed.
    const NAME: &'static str;
    /// What later steps can read.
    type Output: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Does it.
    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure>;

    /// Takes it back. An error leaves the flow stuck: say in it what was left behind.
    async fn undo(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }
}

/// What a step works with: the flow's connections, and what the steps before it put out.
pub(crate) struct StepContext {
    saga: ActionContext<FlowSaga>,
}

impl StepContext {
    /// What the step `S`, earlier in this flow, put out.
    pub(crate) fn output_of<S: Step>(&self) -> Result<S::Output, StepFailure> {
        self.saga
            .lookup(S::NAME)
            .map_err(|e| StepFailure::because("The flow's log cannot be read", &e))
    }
}

impl std::ops::Deref for StepContext {
    type Target = FlowContext;

    fn deref(&self) -> &FlowContext {
        self.saga.user_data()
    }
}

/// The type by which steno knows our flows.
#[derive(Debug)]
pub(crate) struct FlowSaga;

impl SagaType for FlowSaga {
    type ExecContextType = FlowContext;
}

/// Puts a [`Step`] into steno's terms.
#[derive(Debug)]
pub(crate) struct StepAction<S>(pub(crate) S);

impl<S: Step> StepAction<S> {
    async fn run(&self, cx: StepContext) -> ActionResult {
        cx.lease().hold().await;
        info!(step = S::NAME, "step begins");
        let output = match self.run_with_patience(&cx).await {
            Ok(output) => output,
            Err(failure) => {
                stop_if_given_up(&cx, &failure).await;
                warn!(
                    step = S::NAME,
                    reason = failure.operator_message,
                    "step failed"
                );
                return Err(ActionError::action_failed(failure));
            }
        };
        let output = serde_json::to_value(&output).map_err(|e| ActionError::SerializeFailed {
            message: e.to_string(),
        })?;
        cx.lease().hold().await;
        Ok(Arc::new(output))
    }

    /// What the cloud may not be asked for twice, such as to make a thing, its adapters ask for once; a
    /// step may be run twice and finds what it made. So a step that fails because a service is away is
    /// run again, for as long as the settings have patience with the cloud.
    async fn run_with_patience(&self, cx: &StepContext) -> Result<S::Output, StepFailure> {
        let limit = Instant::now() + cx.settings().cloud_patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match unless_it_panics(S::NAME, self.0.run(cx)).await {
                Err(failure) if failure.is_transient => failure,
                result => return result,
            };
            cx.lease().hold().await;
            if Instant::now() + pause >= limit {
                return Err(failure);
            }
            warn!(
                step = S::NAME,
                reason = failure.operator_message,
                "a service is away, the step is run again"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            cx.stop_if_cancelled().await?;
        }
    }

    async fn undo(&self, cx: StepContext) -> UndoResult {
        cx.lease().hold().await;
        info!(step = S::NAME, "step is undone");
        self.undo_with_patience(&cx).await?;
        cx.lease().hold().await;
        Ok(())
    }

    /// What made the flow fail is often what is in the way of its undo (a cloud that does not answer),
    /// and an undo that fails leaves all those before it undone: it is tried again for as long as the
    /// settings have patience with the cloud.
    async fn undo_with_patience(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let limit = Instant::now() + cx.settings().cloud_patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(failure) = unless_it_panics(S::NAME, self.0.undo(cx)).await else {
                return Ok(());
            };
            stop_if_given_up(cx, &failure).await;
            if Instant::now() + pause >= limit {
                return Err(failure);
            }
            warn!(
                step = S::NAME,
                reason = failure.operator_message,
                "undo failed, it is tried again"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// steno would wait for ever for a step that panicked, its flow's lease renewed all the while.
async fn unless_it_panics<T>(
    step: &'static str,
    work: impl Future<Output = Result<T, StepFailure>> + Send,
) -> Result<T, StepFailure> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            error!(step, "step panicked");
            Err(StepFailure::new(format!(
                "Step {step} broke off by a fault of Backstay's own"
            )))
        })
}

/// An engine that has lost the flow, or cannot know what the database holds of it, must neither unwind
/// it nor record anything about it.
async fn stop_if_given_up(cx: &StepContext, failure: &StepFailure) {
    if failure.gives_up_flow {
        cx.lease().lose();
    }
    cx.lease().hold().await;
}

impl<S: Step> Action<FlowSaga> for StepAction<S> {
    fn do_it(&self, saga: ActionContext<FlowSaga>) -> BoxFuture<'_, ActionResult> {
        Box::pin(self.run(StepContext { saga }))
    }

    fn undo_it(&self, saga: ActionContext<FlowSaga>) -> BoxFuture<'_, UndoResult> {
        Box::pin(self.undo(StepContext { saga }))
    }

    fn name(&self) -> ActionName {
        ActionName::new(S::NAME)
    }
}
