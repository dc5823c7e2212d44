//! `restore-cancel`

use clap::Args;

use crate::api::{Api, RESTORE};
use crate::commands::Run;
use crate::error::CliError;

/// Stop a restore that is under way; what it has made is removed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr restore-cancel RESTORE_ID")]
pub(crate) struct Cancel {
    /// Name or ID of the restore
    #[arg(value_name = "RESTORE")]
    restore: String,
}

impl Run for Cancel {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&RESTORE, &self.restore).await?;
        api.get(&["restores", &id, "cancel"], &[]).await?;
        Ok(())
    }
}
