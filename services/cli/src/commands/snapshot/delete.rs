//! `snapshot-delete`

use clap::Args;

use super::DELETE_HINTS;
use crate::api::{Api, SNAPSHOT, text};
use crate::commands::Run;
use crate::error::CliError;
use crate::wait::{Goal, WaitOptions, follow};

/// Delete a snapshot; later ones that build on it stay whole
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr snapshot-delete SNAPSHOT_ID --wait")]
pub(crate) struct Delete {
    /// Name or ID of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    wait: WaitOptions,
}

impl Run for Delete {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let snapshot = api.find(&SNAPSHOT, &self.snapshot).await?;
        let id = text(&snapshot, "id");
        api.delete(&["snapshots", id], &[]).await?;
        if self.wait.wait {
            follow(
                api,
                &SNAPSHOT,
                id,
                Goal::gone(&snapshot),
                &DELETE_HINTS,
                &self.wait,
            )
            .await?;
        }
        Ok(())
    }
}
