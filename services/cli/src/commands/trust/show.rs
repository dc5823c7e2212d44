//! `trust-show`

use clap::Args;

use super::find;
use crate::api::Api;
use crate::commands::Run;
use crate::error::CliError;
use crate::output::ShowOutput;

/// Show a trust
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr trust-show trust-5a1f...")]
pub(crate) struct Show {
    /// Name of the trust, or its ID in Keystone
    #[arg(value_name = "TRUST")]
    trust: String,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Show {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        Ok(self.output.show(&find(api, &self.trust).await?)?)
    }
}
