//! `workload-snapshot`

use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::{Api, SNAPSHOT, WORKLOAD, text};
use crate::commands::Run;
use crate::commands::snapshot::HINTS;
use crate::error::CliError;
use crate::output::ShowOutput;
use crate::wait::{Goal, WaitOptions, follow};

/// Take a snapshot: back up a workload now
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  workloadmgr workload-snapshot web --full --wait\n  \
    workloadmgr workload-snapshot web --display-name before-upgrade --wait --timeout 3600"
)]
pub(crate) struct Snapshot {
    /// Name or ID of the workload
    #[arg(value_name = "WORKLOAD")]
    workload: String,
    /// Back up everything, not only what changed; the first snapshot always does
    #[arg(long)]
    full: bool,
    /// Name of the snapshot [default: the server's]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    display_description: Option<String>,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Snapshot {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let id = api.existing_id(&WORKLOAD, &self.workload).await?;
        let mut wanted = Map::from_iter([("full".to_owned(), Value::Bool(self.full))]);
        wanted.extend(
            self.display_name
                .map(|name| ("name".to_owned(), json!(name))),
        );
        wanted.extend(
            self.display_description
                .map(|text| ("description".to_owned(), json!(text))),
        );
        // The query alone decides; the body says the same.
        let query: &[(&str, String)] = if self.full {
            &[("full", "1".to_owned())]
        } else {
            &[]
        };
        let body = json!({ "snapshot": wanted });
        let answer = api.post(&["workloads", &id], query, Some(&body)).await?;
        let mut snapshot = api.unwrap(answer, SNAPSHOT.key)?;
        if self.wait.wait {
            let id = text(&snapshot, "id").to_owned();
            snapshot = follow(api, &SNAPSHOT, &id, Goal::Made, &HINTS, &self.wait).await?;
        }
        let people = self.output.is_for_people();
        let snapshot = if people {
            super::super::snapshot::brief(snapshot)
        } else {
            snapshot
        };
        Ok(self.output.show(&snapshot)?)
    }
}
