//! `workload-type-list`

use clap::Args;

use crate::api::{Api, WORKLOAD_TYPE};
use crate::commands::Run;
use crate::error::CliError;
use crate::output::{Column, ListOutput, column};

const COLUMNS: &[Column] = &[column("ID", "id"), column("Name", "name")];

/// List the workload types: the orders in which members are backed up
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-type-list")]
pub(crate) struct List {
    #[command(flatten)]
    output: ListOutput,
}

impl Run for List {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let types = api.list(&WORKLOAD_TYPE, &[]).await?;
        Ok(self.output.list(COLUMNS, &types)?)
    }
}
