//! Disconnects hosts from the filled volumes.

use async_trait::async_trait;

use super::connect_volumes::disconnect;
use crate::runner::{Step, StepContext, StepFailure};

/// Nobody is given a volume that a host may still write to: what fails here is undone.
#[derive(Debug)]
pub(super) struct DisconnectVolumes;

#[async_trait]
impl Step for DisconnectVolumes {
    const NAME: &'static str = "disconnect_volumes";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        disconnect(cx).await
    }
}
