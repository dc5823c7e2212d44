//! Work that must not stop half-way because the client went away: actix drops a handler then.

use services_foundation::error_chain::ErrorChain;
use tracing::Instrument;

use crate::error::ApiError;

/// Runs to its end whether or not anybody still waits for it.
pub(crate) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let (answer, awaited) = tokio::sync::oneshot::channel();
    let work = async move {
        if let Err(unheard) = answer.send(work.await) {
            match unheard {
                Ok(_) => tracing::info!("A request was done after its client had gone"),
                Err(error) => {
                    let error = ErrorChain(&error);
                    tracing::warn!(%error, "A request failed after its client had gone");
                }
            }
        }
    };
    drop(tokio::spawn(work.in_current_span()));
    awaited
        .await
        .unwrap_or_else(|source| Err(ApiError::internal("finish a request", source)))
}
