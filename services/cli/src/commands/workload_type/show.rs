//! `workload-type-show`

use clap::Args;

use crate::api::{Api, WORKLOAD_TYPE};
use crate::commands::Run;
use crate::error::CliError;
use crate::output::ShowOutput;

/// Show a workload type
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-type-show Serial")]
pub(crate) struct Show {
    /// Name or ID of the type
    #[arg(value_name = "TYPE")]
    workload_type: String,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Show {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let workload_type = api.find(&WORKLOAD_TYPE, &self.workload_type).await?;
        Ok(self.output.show(&workload_type)?)
    }
}
