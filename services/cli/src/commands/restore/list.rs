//! `restore-list`

use clap::Args;

use crate::api::{Api, RESTORE, SNAPSHOT};
use crate::commands::Run;
use crate::commands::arguments::query;
use crate::error::CliError;
use crate::output::{Column, ListOutput, column};

const COLUMNS: &[Column] = &[
    column("Created At", "created_at"),
    column("Name", "name"),
    column("ID", "id"),
    column("Snapshot ID", "snapshot_id"),
    column("Size", "size"),
    column("Status", "status"),
];

/// List restores
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr restore-list --snapshot_id SNAPSHOT_ID")]
pub(crate) struct List {
    /// Only those of this snapshot, by name or ID
    #[arg(long = "snapshot_id", alias = "snapshot-id", value_name = "SNAPSHOT")]
    snapshot: Option<String>,
    #[command(flatten)]
    output: ListOutput,
}

impl Run for List {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let snapshot_id = match &self.snapshot {
            Some(snapshot) => Some(api.find_id(&SNAPSHOT, snapshot).await?),
            None => None,
        };
        // The short list need not hold more than IDs.
        let answer = api
            .get(
                &["restores", "detail"],
                &query(&[("snapshot_id", snapshot_id)]),
            )
            .await?;
        let restores = api.rows(answer, RESTORE.collection)?;
        Ok(self.output.list(COLUMNS, &restores)?)
    }
}
