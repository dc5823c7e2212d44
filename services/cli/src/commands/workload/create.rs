//! `workload-create`

use clap::Args;
use serde_json::{Value, json};

use super::HINTS;
use crate::api::{Api, WORKLOAD, WORKLOAD_TYPE, text};
use crate::commands::Run;
use crate::commands::arguments::{instance, instances, key_value, object, schedule_item};
use crate::error::CliError;
use crate::output::ShowOutput;
use crate::wait::{Goal, WaitOptions, follow};

const EXAMPLES: &str = "\
Examples:
  workloadmgr workload-create --display-name web --instance SERVER_ID --wait
  workloadmgr workload-create --display-name shop --instance DB_ID --instance APP_ID \\
      --jobschedule enabled=True --jobschedule 'interval=4 hrs' --jobschedule timezone=UTC \\
      --jobschedule 'retention_policy_type=Number of Snapshots to Keep' \\
      --jobschedule retention_policy_value=30";

/// Make a workload: servers that are backed up together
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Create {
    /// A server to protect, by its ID (not its name); repeat for more; a server is in one workload
    #[arg(long = "instance", value_name = "instance-id=ID", required = true, value_parser = instance)]
    instances: Vec<String>,
    /// Serial (members one after the other, as given) or Parallel, or the ID of a type [default: the
    /// server's]
    #[arg(long, value_name = "TYPE")]
    workload_type_id: Option<String>,
    /// Name of the workload
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    display_description: Option<String>,
    /// Where the members run; openstack is the only one
    #[arg(long, value_name = "PLATFORM", default_value = "openstack")]
    source_platform: String,
    /// Part of the schedule; repeat. Keys: enabled (True, False), start_date (MM/DD/YYYY), start_time
    /// (HH:MM AM), end_date, interval ('4 hrs', at least an hour), timezone (as Europe/Berlin),
    /// retention_policy_type, retention_policy_value, fullbackup_interval (-1 never, 0 always, N after
    /// N incrementals)
    #[arg(long, value_name = "KEY=VALUE", value_parser = schedule_item)]
    jobschedule: Vec<(String, String)>,
    /// Anything to keep with the workload; repeat
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    /// ID of a policy that sets schedule and retention
    #[arg(long, value_name = "ID")]
    policy_id: Option<String>,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    output: ShowOutput,
}

impl Create {
    async fn body(&self, api: &Api) -> Result<Value, CliError> {
        let mut metadata = self.metadata.clone();
        metadata.extend(
            self.policy_id
                .clone()
                .map(|id| ("policy_id".to_owned(), id)),
        );
        let mut workload = json!({
            "name": self.display_name.clone().unwrap_or_default(),
            "description": self.display_description.clone().unwrap_or_default(),
            "source_platform": self.source_platform,
            "instances": instances(&self.instances),
            "jobschedule": object(&self.jobschedule),
            "metadata": object(&metadata),
        });
        if let (Some(given), Some(members)) = (&self.workload_type_id, workload.as_object_mut()) {
            let id = api.find_id(&WORKLOAD_TYPE, given).await?;
            members.insert("workload_type_id".to_owned(), Value::String(id));
        }
        Ok(json!({ "workload": workload }))
    }
}

impl Run for Create {
    async fn run(self, api: &Api) -> Result<(), CliError> {
        let body = self.body(api).await?;
        let answer = api.post(&["workloads"], &[], Some(&body)).await?;
        let mut workload = api.unwrap(answer, WORKLOAD.key)?;
        if self.wait.wait {
            let id = text(&workload, "id").to_owned();
            workload = follow(api, &WORKLOAD, &id, Goal::Made, &HINTS, &self.wait).await?;
        }
        Ok(self.output.show(&workload)?)
    }
}
