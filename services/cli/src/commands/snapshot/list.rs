//! `snapshot-list`

use clap::Args;

use crate::api::{Api, SNAPSHOT, WORKLOAD};
use crate::commands::Run;
use crate::commands::arguments::{date_time, python_bool, python_text, query};
use crate::error::CliError;
use crate::output::{Column, ListOutput, column};

/// Creation, name, ID and workload come first: operators' scripts count the columns.
const COLUMNS: &[Column] = &[
    column("Created At", "created_at"),
    column("Name", "name"),
    column("ID", "id"),
    column("Workload ID", "workload_id"),
    column("Snapshot Type", "snapshot_type"),
    column("Status", "status"),
    column("Host", "host"),
];

/// List snapshots
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  workloadmgr snapshot-list --workload_id web\n  \
    workloadmgr snapshot-list --date_from 2026-01-01T00:00:00 -f csv"
)]
pub(crate) struct List {
    /// Only those of this workload, by name or ID
    #[arg(long = "workload_id", alias = "workload-id", value_name = "WORKLOAD")]
    workload: Option<String>,
    /// Only those made by this node
    #[arg(long = "tvault_node", alias = "tvault-node", value_name = "HOST")]
    node: Option<String>,
    /// Only those made at this time or later (YYYY-MM-DDTHH:MM:SS, UTC)
    #[arg(long = "date_from", alias = "date-from", value_name = "TIME", value_parser = date_time)]
    date_from: Option<String>,
    /// Only those made at this time or earlier (YYYY-MM-DDTHH:MM:SS, UTC)
    #[arg(long = "date_to", alias = "date-to", value_name = "TIME", value_parser = date_time)]
    date_to: Option<String>,
    /// List those of all projects (admin)
    #[arg(long, value_name = "True|False", num_args = 0..=1, default_missing_value = "True",
        value_parser = python_bool)]
    all: Option<bool>,
    #[command(flatten)]
    output: ListOutput,
}

impl Run for List {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let workload_id = match &self.workload {
            Some(workload) => Some(api.find_id(&WORKLOAD, workload).await?),
            None => None,
        };
        let query = query(&[
            ("workload_id", workload_id),
            ("host", self.node),
            ("date_from", self.date_from),
            ("date_to", self.date_to),
            ("all", self.all.map(python_text)),
        ]);
        let snapshots = api.list(&SNAPSHOT, &query).await?;
        Ok(self.output.list(COLUMNS, &snapshots)?)
    }
}
