//! `workload-show`

use clap::Args;

use crate::api::{Api, WORKLOAD};
use crate::commands::Run;
use crate::error::CliError;
use crate::output::ShowOutput;

/// Show a workload: its members, schedule and state
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-show web -f json")]
pub(crate) struct Show {
    /// Name or ID of the workload
    #[arg(value_name = "WORKLOAD")]
    workload: String,
    /// Taken for the sake of old scripts: everything is shown anyway
    #[arg(long, num_args = 0..=1, default_missing_value = "True", value_name = "True|False")]
    verbose: Option<String>,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Show {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let workload = api.find(&WORKLOAD, &self.workload).await?;
        Ok(self.output.show(&workload)?)
    }
}
