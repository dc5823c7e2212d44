//! `workload-list`

use clap::Args;

use crate::api::{Api, WORKLOAD};
use crate::commands::Run;
use crate::commands::arguments::{python_bool, python_text, query};
use crate::error::CliError;
use crate::output::{Column, ListOutput, column};

const COLUMNS: &[Column] = &[
    column("ID", "id"),
    column("Name", "name"),
    column("Status", "status"),
    column("Workload Type ID", "workload_type_id"),
    column("Project ID", "project_id"),
    column("Created At", "created_at"),
];

/// List the workloads of your project
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-list -c ID -c Name -f value")]
pub(crate) struct List {
    /// List those of all projects (admin)
    #[arg(long, value_name = "True|False", num_args = 0..=1, default_missing_value = "True",
        value_parser = python_bool)]
    all: Option<bool>,
    /// List those on this share only
    #[arg(long, value_name = "SHARE")]
    nfsshare: Option<String>,
    /// List those of this project (admin)
    #[arg(long = "project_id", alias = "project-id", value_name = "ID")]
    project_id: Option<String>,
    #[command(flatten)]
    output: ListOutput,
}

impl Run for List {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let query = query(&[
            ("all_workloads", self.all.map(python_text)),
            ("nfs_share", self.nfsshare),
            ("project_id", self.project_id),
        ]);
        let workloads = api.list(&WORKLOAD, &query).await?;
        Ok(self.output.list(COLUMNS, &workloads)?)
    }
}
