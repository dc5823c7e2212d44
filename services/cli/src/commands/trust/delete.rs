//! `trust-delete`

use clap::Args;

use super::find;
use crate::api::{Api, TRUST, text};
use crate::commands::Run;
use crate::error::CliError;

/// Delete a trust; workloads that need it stop until their owner makes a new one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr trust-delete trust-5a1f...")]
pub(crate) struct Delete {
    /// Name of the trust, or its ID in Keystone
    #[arg(value_name = "TRUST")]
    trust: String,
}

impl Run for Delete {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let trust = find(api, &self.trust).await?;
        api.delete(&[TRUST.collection, text(&trust, "name")], &[])
            .await?;
        Ok(())
    }
}
