//! `workload-delete`

use clap::Args;

use super::HINTS;
use crate::api::{Api, WORKLOAD, text};
use crate::commands::Run;
use crate::commands::arguments::python_text;
use crate::error::CliError;
use crate::wait::{Goal, WaitOptions, follow};

/// Delete a workload that has no snapshots; its servers stay
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr workload-delete web --wait")]
pub(crate) struct Delete {
    /// Name or ID of the workload
    #[arg(value_name = "WORKLOAD")]
    workload: String,
    /// Forget it and its snapshots, and leave the backups on the target (admin)
    #[arg(long = "database_only", alias = "database-only", num_args = 0)]
    database_only: bool,
    #[command(flatten)]
    wait: WaitOptions,
}

impl Run for Delete {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let workload = api.find(&WORKLOAD, &self.workload).await?;
        let id = text(&workload, "id");
        let query: &[(&str, String)] = if self.database_only {
            &[("database_only", python_text(true))]
        } else {
            &[]
        };
        api.delete(&["workloads", id], query).await?;
        if self.wait.wait {
            follow(
                api,
                &WORKLOAD,
                id,
                Goal::gone(&workload),
                &HINTS,
                &self.wait,
            )
            .await?;
        }
        Ok(())
    }
}
