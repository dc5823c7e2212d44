//! Waiting for the cloud to bring a thing into a state.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::context::FlowContext;
use crate::runner::StepFailure;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Asks until there is an answer, for as long as the settings have patience with the cloud; `what`
/// says what is being waited for. A cancellation by the owner ends the wait.
pub(crate) async fn wait_for<T, F, A>(
    cx: &FlowContext,
    what: &str,
    ask: F,
) -> Result<T, StepFailure>
where
    F: Fn() -> A + Send,
    A: Future<Output = Result<Option<T>, StepFailure>> + Send,
    T: Send,
{
    wait(cx, what, ask, true, cx.settings().cloud_patience).await
}

/// As [`wait_for`], in an undo: a cancellation does not end it.
pub(crate) async fn wait_in_undo<T, F, A>(
    cx: &FlowContext,
    what: &str,
    ask: F,
) -> Result<T, StepFailure>
where
    F: Fn() -> A + Send,
    A: Future<Output = Result<Option<T>, StepFailure>> + Send,
    T: Send,
{
    wait(cx, what, ask, false, cx.settings().cloud_patience).await
}

/// As [`wait_for`], for what may take hours: some storages copy a whole volume.
pub(crate) async fn wait_for_long<T, F, A>(
    cx: &FlowContext,
    what: &str,
    ask: F,
) -> Result<T, StepFailure>
where
    F: Fn() -> A + Send,
    A: Future<Output = Result<Option<T>, StepFailure>> + Send,
    T: Send,
{
    wait(cx, what, ask, true, cx.settings().copy_patience).await
}

async fn wait<T, F, A>(
    cx: &FlowContext,
    what: &str,
    ask: F,
    is_cancellable: bool,
    patience: Duration,
) -> Result<T, StepFailure>
where
    F: Fn() -> A + Send,
    A: Future<Output = Result<Option<T>, StepFailure>> + Send,
    T: Send,
{
    let limit = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        cx.lease().hold().await;
        if is_cancellable {
            cx.stop_if_cancelled().await?;
        }
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= limit {
            return Err(StepFailure::new(format!(
                "Gave up after {} s of waiting for {what}",
                patience.as_secs()
            )));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
