//! `snapshot-oneclick-restore`

use clap::Args;
use serde_json::{Value, json};

use super::brief;
use crate::api::{Api, RESTORE, SNAPSHOT, text};
use crate::commands::Run;
use crate::commands::restore::HINTS;
use crate::error::CliError;
use crate::output::ShowOutput;
use crate::wait::{Goal, WaitOptions, follow};

/// Restore all servers of a snapshot as they were; they must not exist any more
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr snapshot-oneclick-restore SNAPSHOT_ID --wait")]
pub(crate) struct OneclickRestore {
    /// Name or ID of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    /// Name of the restore
    #[arg(long, value_name = "NAME", default_value = "One click restore")]
    display_name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    display_description: String,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    output: ShowOutput,
}

impl OneclickRestore {
    /// The name stands in both places: clients of either habit read it.
    fn body(&self) -> Value {
        let (name, description) = (&self.display_name, &self.display_description);
        json!({ "restore": {
            "name": name,
            "description": description,
            "options": {
                "name": name,
                "description": description,
                "type": "openstack",
                "oneclickrestore": true,
                "restore_type": "oneclick",
                "openstack": { "instances": [], "zone": "" },
            },
        }})
    }
}

impl Run for OneclickRestore {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&SNAPSHOT, &self.snapshot).await?;
        let answer = api
            .post(&["snapshots", &id], &[], Some(&self.body()))
            .await?;
        let mut restore = api.unwrap(answer, RESTORE.key)?;
        if self.wait.wait {
            let id = text(&restore, "id").to_owned();
            restore = follow(api, &RESTORE, &id, Goal::Made, &HINTS, &self.wait).await?;
        }
        let restore = if self.output.is_for_people() {
            brief(restore)
        } else {
            restore
        };
        Ok(self.output.show(&restore)?)
    }
}
