//! `trust-list`

use clap::Args;

use super::trusts;
use crate::api::Api;
use crate::commands::Run;
use crate::error::CliError;
use crate::output::{Column, ListOutput, column};

/// `TrustID` is the trust's name here: that is what show and delete take, and scripts read.
const COLUMNS: &[Column] = &[
    column("TrustID", "name"),
    column("Keystone Trust ID", "value"),
    column("User ID", "user_id"),
    column("Project ID", "project_id"),
    column("Status", "status"),
    column("Created At", "created_at"),
];

/// List your trusts in this project
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr trust-list -f json")]
pub(crate) struct List {
    #[command(flatten)]
    output: ListOutput,
}

impl Run for List {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        Ok(self.output.list(COLUMNS, &trusts(api).await?)?)
    }
}
