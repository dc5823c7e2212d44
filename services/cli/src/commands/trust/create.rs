//! `trust-create`

use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::{Api, TRUST};
use crate::commands::Run;
use crate::commands::arguments::python_bool;
use crate::error::CliError;
use crate::output::ShowOutput;

/// Let the service work in your project in your name, so that scheduled backups can run
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  workloadmgr trust-create member")]
pub(crate) struct Create {
    /// Role to pass on; several with commas between. You must have them in this project
    #[arg(value_name = "ROLE")]
    role_name: String,
    /// Make the trust that the service itself works with in the whole cloud (admin)
    #[arg(long = "is_cloud_trust", alias = "is-cloud-trust", value_name = "True|False",
        default_value = "False", value_parser = python_bool, action = clap::ArgAction::Set)]
    is_cloud_trust: bool,
    #[command(flatten)]
    output: ShowOutput,
}

impl Run for Create {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let body = json!({ "trusts": {
            "role_name": self.role_name,
            "is_cloud_trust": self.is_cloud_trust,
        }});
        let answer = api.post(&[TRUST.collection], &[], Some(&body)).await?;
        let made = api
            .rows(answer, TRUST.key)?
            .into_iter()
            .next()
            .unwrap_or_default();
        Ok(self.output.show(&texts(made))?)
    }
}

/// Scripts evaluate this command's JSON as Python, where null and true are not known; trust-show
/// has the rest.
fn texts(trust: Value) -> Value {
    match trust {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| value.is_string())
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}
