//! A step of a flow, and how steno sees it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steno::{Action, ActionContext, ActionError, ActionName, ActionResult, SagaType, UndoResult};
use tracing::{info, warn};

use super::StepFailure;
use crate::FlowContext;

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
        let output = match self.0.run(&cx).await {
            Ok(output) => output,
            Err(failure) => {
                stop_if_fenced(&cx, &failure).await;
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

    async fn undo(&self, cx: StepContext) -> UndoResult {
        cx.lease().hold().await;
        info!(step = S::NAME, "step is undone");
        if let Err(failure) = self.0.undo(&cx).await {
            stop_if_fenced(&cx, &failure).await;
            return Err(anyhow::Error::new(failure));
        }
        cx.lease().hold().await;
        Ok(())
    }
}

/// An engine that has lost the flow must neither unwind it nor record anything about it.
async fn stop_if_fenced(cx: &StepContext, failure: &StepFailure) {
    if failure.is_fenced {
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
