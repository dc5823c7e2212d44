//! `restore-show`

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::api::{Api, RESTORE};
use crate::commands::Run;
use crate::commands::snapshot::{brief, parts};
use crate::error::CliError;
use crate::output::{Column, ShowOutput, column};

const NAMED: &[Column] = &[column("ID", "id"), column("Name", "name")];

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    Metadata,
    Instances,
    Networks,
    Subnets,
    Routers,
    Flavors,
}

impl Part {
    fn key(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Instances => "instances",
            Self::Networks => "networks",
            Self::Subnets => "subnets",
            Self::Routers => "routers",
            Self::Flavors => "flavors",
        }
    }
}

/// Show a restore: its state and what it made
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr restore-show RESTORE_ID --output instances")]
pub(crate) struct Show {
    /// Name or ID of the restore
    #[arg(value_name = "RESTORE")]
    restore: String,
    /// List this part of it instead
    #[arg(long = "output", value_name = "PART")]
    part: Option<Part>,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Show {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let restore = api.find(&RESTORE, &self.restore).await?;
        match self.part {
            Some(Part::Metadata) => Ok(self
                .output
                .part(parts::METADATA, &parts::metadata(&restore))?),
            Some(part) => {
                let rows = restore.get(part.key()).and_then(Value::as_array);
                Ok(self
                    .output
                    .part(NAMED, rows.map(Vec::as_slice).unwrap_or_default())?)
            }
            None => {
                let restore = if self.output.is_for_people() {
                    brief(restore)
                } else {
                    restore
                };
                Ok(self.output.show(&restore)?)
            }
        }
    }
}
