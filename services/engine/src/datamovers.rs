//! What it means for a step that a datamover did not do what it was asked.

use agent_contract::{ClientError, RefusalKind};

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// The failure of a question; `words` are for the tenant. Never returns if a newer claim has been seen
/// on the host: this engine is the one that must stop.
pub(crate) async fn failure(
    cx: &FlowContext,
    words: impl Into<String> + Send,
    error: &ClientError,
) -> StepFailure {
    if error.refusal() == Some(RefusalKind::Fenced) {
        cx.lease().lose();
        cx.lease().hold().await;
    }
    StepFailure {
        is_transient: error.is_transient(),
        ..StepFailure::because(words, error)
    }
}
