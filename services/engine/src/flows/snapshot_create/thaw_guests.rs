//! Thaws the guests: their disks are snapshot.

use async_trait::async_trait;

use super::freeze_guests::thaw_all;
use crate::runner::{Step, StepContext, StepFailure};

/// Thaws all guests. One that cannot be reached thaws by its deadline, with a warning.
#[derive(Debug)]
pub(super) struct ThawGuests;

#[async_trait]
impl Step for ThawGuests {
    const NAME: &'static str = "thaw_guests";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        thaw_all(cx).await
    }
}
