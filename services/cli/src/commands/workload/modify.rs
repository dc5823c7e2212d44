//! `workload-modify`

use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::{Api, WORKLOAD, text};
use crate::commands::Run;
use crate::commands::arguments::{instance, instances, key_value, object, schedule_item};
use crate::error::CliError;
use crate::output::ShowOutput;

const EXAMPLES: &str = "\
Examples:
  workloadmgr workload-modify web --display-name web-shop
  workloadmgr workload-modify web --instance SERVER_ID --instance OTHER_SERVER_ID
  workloadmgr workload-modify web --jobschedule enabled=False";

/// Change a workload; what is not named stays
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Modify {
    /// Name or ID of the workload
    #[arg(value_name = "WORKLOAD")]
    workload: String,
    /// A member, by the ID of its server; repeat. These replace ALL members
    #[arg(long = "instance", value_name = "instance-id=ID", value_parser = instance)]
    instances: Vec<String>,
    /// New name
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// New description
    #[arg(long, value_name = "TEXT")]
    display_description: Option<String>,
    /// Part of the schedule; repeat. Keys as in workload-create
    #[arg(long, value_name = "KEY=VALUE", value_parser = schedule_item)]
    jobschedule: Vec<(String, String)>,
    /// Metadata to set; repeat. What is not named stays
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    /// ID of a policy that sets schedule and retention
    #[arg(long, value_name = "ID")]
    policy_id: Option<String>,
    #[command(flatten)]
    output: ShowOutput,
}

impl Modify {
    /// Only what is to change.
    fn changes(&self) -> Map<String, Value> {
        let mut changes = Map::new();
        let mut set = |key: &str, value| changes.insert(key.to_owned(), value);
        if let Some(name) = &self.display_name {
            set("name", json!(name));
        }
        if let Some(description) = &self.display_description {
            set("description", json!(description));
        }
        if !self.instances.is_empty() {
            set("instances", instances(&self.instances));
        }
        if !self.jobschedule.is_empty() {
            set("jobschedule", object(&self.jobschedule));
        }
        changes
    }

    /// The API replaces all metadata, so what stays is sent, too. None where nothing changes.
    fn metadata(&self, before: &Value) -> Option<Value> {
        let mut pairs = self.metadata.clone();
        pairs.extend(
            self.policy_id
                .clone()
                .map(|id| ("policy_id".to_owned(), id)),
        );
        if pairs.is_empty() {
            return None;
        }
        let mut members = before
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if let Value::Object(named) = object(&pairs) {
            members.extend(named);
        }
        Some(Value::Object(members))
    }
}

impl Run for Modify {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let mut changes = self.changes();
        if changes.is_empty() && self.metadata.is_empty() && self.policy_id.is_none() {
            let why = "nothing to change is named, see workloadmgr help workload-modify";
            return Err(CliError::Usage(why.into()));
        }
        let before = api.find(&WORKLOAD, &self.workload).await?;
        let id = text(&before, "id");
        changes.extend(
            self.metadata(&before)
                .map(|all| ("metadata".to_owned(), all)),
        );
        api.put(&["workloads", id], &json!({ "workload": changes }))
            .await?;
        let workload = api.show(&WORKLOAD, id).await?;
        Ok(self.output.show(&workload)?)
    }
}
