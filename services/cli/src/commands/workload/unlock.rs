//! `workload-unlock`

use clap::Args;

use crate::api::{Api, WORKLOAD};
use crate::commands::Run;
use crate::error::CliError;

/// Set a locked workload back to available, after its snapshot or restore died
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-unlock web")]
pub(crate) struct Unlock {
    /// Name or ID of the workload
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

impl Run for Unlock {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&WORKLOAD, &self.workload).await?;
        api.post(&["workloads", &id, "unlock"], &[], None).await?;
        Ok(())
    }
}
