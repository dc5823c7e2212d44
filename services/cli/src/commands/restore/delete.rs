//! `restore-delete`

use clap::Args;

use crate::api::{Api, RESTORE};
use crate::commands::Run;
use crate::error::CliError;

/// Delete the record of a restore; the servers that it made stay
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr restore-delete RESTORE_ID")]
pub(crate) struct Delete {
    /// Name or ID of the restore
    #[arg(value_name = "RESTORE")]
    restore: String,
}

impl Run for Delete {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&RESTORE, &self.restore).await?;
        api.delete(&["restores", &id], &[]).await?;
        Ok(())
    }
}
