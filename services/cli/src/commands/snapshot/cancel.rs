//! `snapshot-cancel`

use clap::Args;

use crate::api::{Api, SNAPSHOT};
use crate::commands::Run;
use crate::error::CliError;

/// Stop a snapshot that is being taken; what it has written is removed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr snapshot-cancel SNAPSHOT_ID")]
pub(crate) struct Cancel {
    /// Name or ID of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
}

impl Run for Cancel {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&SNAPSHOT, &self.snapshot).await?;
        api.get(&["snapshots", &id, "cancel"], &[]).await?;
        Ok(())
    }
}
