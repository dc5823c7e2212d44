//! `snapshot-show`

use clap::{Args, ValueEnum};

use super::{brief, parts};
use crate::api::{Api, SNAPSHOT};
use crate::commands::Run;
use crate::error::CliError;
use crate::output::ShowOutput;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    Metadata,
    Networks,
    Disks,
}

/// Show a snapshot: its state, sizes (in bytes) and members
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  workloadmgr snapshot-show SNAPSHOT_ID -c status -f value\n  \
    workloadmgr snapshot-show SNAPSHOT_ID --output disks"
)]
pub(crate) struct Show {
    /// Name or ID of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    /// List this part of it instead
    #[arg(long = "output", value_name = "PART")]
    part: Option<Part>,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Show {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let snapshot = api.find(&SNAPSHOT, &self.snapshot).await?;
        let (columns, rows) = match self.part {
            Some(Part::Metadata) => (parts::METADATA, parts::metadata(&snapshot)),
            Some(Part::Networks) => (parts::NETWORKS, parts::networks(&snapshot)),
            Some(Part::Disks) => (parts::DISKS, parts::disks(&snapshot)),
            None => {
                let people = self.output.is_for_people();
                let snapshot = if people { brief(snapshot) } else { snapshot };
                return Ok(self.output.show(&snapshot)?);
            }
        };
        Ok(self.output.part(columns, &rows)?)
    }
}
