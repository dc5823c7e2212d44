//! `snapshot-verify`

use clap::Args;
use serde_json::Value;

use super::DELETE_HINTS;
use crate::api::{Api, SNAPSHOT, text};
use crate::commands::Run;
use crate::error::CliError;
use crate::wait::{Goal, WaitOptions, follow};

/// Read all that a snapshot needs and compare it with what was written
#[derive(Debug, Args)]
#[command(
    after_help = "With --wait the exit status is 1 if something is damaged; snapshot-show tells what.\n\n\
    Example:\n  workloadmgr snapshot-verify SNAPSHOT_ID --wait"
)]
pub(crate) struct Verify {
    /// Name or ID of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    wait: WaitOptions,
}

impl Run for Verify {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let before = api.find(&SNAPSHOT, &self.snapshot).await?;
        let id = text(&before, "id");
        let answer = api.post(&["snapshots", id, "verify"], &[], None).await?;
        if !self.wait.wait {
            return Ok(());
        }
        let asked = api.unwrap(answer, SNAPSHOT.key)?;
        let goal = Goal::Verified;
        let after = follow(api, &SNAPSHOT, id, goal, &DELETE_HINTS, &self.wait).await?;
        found(&asked, &after)
    }
}

/// What was not looked at through to its end has no new time of it.
fn found(asked: &Value, after: &Value) -> Result<(), CliError> {
    let verified_at = |snapshot: &Value| text(snapshot, "verified_at").to_owned();
    let (id, damage) = (text(after, "id"), text(after, "damage_msg"));
    if verified_at(after) == verified_at(asked) {
        let why = text(after, "progress_msg");
        return Err(CliError::Failed(format!("snapshot {id}: {why}")));
    }
    if damage.is_empty() {
        Ok(())
    } else {
        Err(CliError::Failed(format!(
            "snapshot {id} is damaged: {damage}"
        )))
    }
}
