//! The contract's shapes of a workload, and how leniently they are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use services_db::{Member, Snapshot, Workload};
use services_types::{JobSchedule, SnapshotStatus, SnapshotType};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::refusal::not_found;
use crate::v1::wire::{Link, Links, Moment, check_short, lenient_bool};

/// `{"workload": {..}}` of a request to make one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateWorkload {
    /// What to make.
    pub(crate) workload: NewWorkloadObject,
}

/// A workload to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewWorkloadObject {
    /// Display name; `workload` if left out.
    pub(crate) name: Option<String>,
    /// Free text.
    pub(crate) description: Option<String>,
    /// Serial if left out.
    pub(crate) workload_type_id: Option<String>,
    /// Kept as it is given.
    pub(crate) source_platform: Option<String>,
    /// Servers, in the order in which a serial workload takes them.
    #[serde(default)]
    pub(crate) instances: Vec<InstanceRef>,
    /// When to protect it by itself.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) jobschedule: Value,
    /// Kept as it is given, as strings.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) metadata: Option<Map<String, Value>>,
    /// Only `false`.
    #[serde(default, deserialize_with = "lenient_bool")]
    pub(crate) encryption: Option<bool>,
}

/// `{"workload": {..}}` of a request to change one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeWorkload {
    /// What to change; the rest stays.
    pub(crate) workload: WorkloadChangeObject,
}

/// What may be changed of a workload.
#[derive(Deserialize, ToSchema)]
pub(crate) struct WorkloadChangeObject {
    /// Display name.
    pub(crate) name: Option<String>,
    /// Free text.
    pub(crate) description: Option<String>,
    /// The complete new list.
    pub(crate) instances: Option<Vec<InstanceRef>>,
    /// Fields of the schedule to replace.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) jobschedule: Option<Value>,
    /// All of the metadata.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// A server, named by its id.
#[derive(Deserialize, ToSchema)]
pub(crate) struct InstanceRef {
    /// Nova's id.
    #[serde(rename = "instance-id", alias = "instance_id", alias = "id")]
    pub(crate) instance_id: String,
}

/// Metadata values as the strings that they are kept as. There are no policies to be bound to.
pub(super) fn metadata_strings(
    given: Map<String, Value>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let kept: BTreeMap<_, _> = given
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect();
    for key in kept.keys() {
        check_short("metadata key", key)?;
    }
    match kept.get("policy_id").filter(|id| !id.is_empty()) {
        Some(policy_id) => Err(not_found("policy", policy_id)),
        None => Ok(kept),
    }
}

/// `{"workloads": [..]}`
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadList {
    /// Oldest first.
    pub(crate) workloads: Vec<WorkloadObject>,
}

/// `{"workload": {..}}`
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadAnswer {
    /// The workload.
    pub(crate) workload: WorkloadObject,
}

/// `{"workload": {..}}` with all there is to know.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadDetailAnswer {
    /// The workload.
    pub(crate) workload: WorkloadDetailObject,
}

/// A workload in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadObject {
    project_id: String,
    user_id: String,
    id: String,
    name: String,
    /// Always empty; clients expect the key.
    snapshots_info: &'static str,
    description: String,
    workload_type_id: String,
    status: &'static str,
    created_at: Moment,
    updated_at: Moment,
    /// Always null; clients expect the key.
    scheduler_trust: Option<Value>,
    links: Vec<Link>,
}

/// A workload by itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadDetailObject {
    #[serde(flatten)]
    summary: WorkloadObject,
    availability_zone: Option<String>,
    source_platform: Option<String>,
    error_msg: Option<String>,
    storage_usage: StorageUsage,
    instances: Vec<MemberObject>,
    #[schema(value_type = Object)]
    jobschedule: Map<String, Value>,
    metadata: BTreeMap<String, String>,
    encryption: bool,
    secret_uuid: Option<String>,
}

/// What a workload's snapshots take on the target, in bytes.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct StorageUsage {
    usage: u64,
    full: TypeUsage,
    incremental: TypeUsage,
}

/// The same of one type of snapshot.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct TypeUsage {
    snap_count: u64,
    usage: u64,
}

/// A member of a workload.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberObject {
    id: String,
    name: String,
    /// Always empty; clients expect the key.
    metadata: BTreeMap<String, String>,
}

impl WorkloadObject {
    pub(super) fn new(row: &Workload, links: &Links) -> Self {
        Self {
            project_id: row.project_id.to_string(),
            user_id: row.user_id.to_string(),
            id: row.id.to_string(),
            name: row.name.clone(),
            snapshots_info: "",
            description: row.description.clone(),
            workload_type_id: row.workload_type_id.to_string(),
            status: row.status.as_str(),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            scheduler_trust: None,
            links: links.to(&row.project_id, "workloads", &row.id),
        }
    }
}

/// What a workload's own row does not hold.
pub(super) struct Surroundings {
    pub(super) members: Vec<Member>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) schedule: JobSchedule,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) now: chrono::DateTime<chrono::Utc>,
}

impl WorkloadDetailObject {
    pub(super) fn new(row: Workload, around: Surroundings, links: &Links) -> Self {
        Self {
            summary: WorkloadObject::new(&row, links),
            availability_zone: row.availability_zone,
            source_platform: row.source_platform,
            error_msg: row.error_msg,
            storage_usage: StorageUsage::of(&around.snapshots),
            instances: around.members.into_iter().map(MemberObject::new).collect(),
            jobschedule: schedule_object(&around.schedule, around.now),
            metadata: around.metadata,
            encryption: false,
            secret_uuid: None,
        }
    }
}

impl MemberObject {
    fn new(member: Member) -> Self {
        Self {
            id: member.server_id.to_string(),
            name: member.name,
            metadata: BTreeMap::new(),
        }
    }
}

impl StorageUsage {
    fn of(snapshots: &[Snapshot]) -> Self {
        let mut all = Self::default();
        for snapshot in snapshots
            .iter()
            .filter(|it| it.status == SnapshotStatus::Available)
        {
            let of_type = match snapshot.snapshot_type {
                SnapshotType::Full => &mut all.full,
                SnapshotType::Incremental => &mut all.incremental,
            };
            of_type.snap_count += 1;
            of_type.usage += snapshot.size_bytes;
            all.usage += snapshot.size_bytes;
        }
        all
    }
}

/// The schedule with `nextrun`, the whole seconds until it runs; without, when it never will.
fn schedule_object(
    schedule: &JobSchedule,
    now: chrono::DateTime<chrono::Utc>,
) -> Map<String, Value> {
    let mut object = schedule.to_contract();
    if let Some(next) = schedule.next_slot(now) {
        object.insert(
            "nextrun".to_owned(),
            Value::from((next - now).num_seconds()),
        );
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nextrun_is_there_exactly_while_the_schedule_will_run() {
        let now = "2026-11-21T20:00:00.5Z".parse().unwrap();
        let mut schedule = JobSchedule::parse(&json!({}), now).unwrap();
        assert_eq!(schedule_object(&schedule, now)["nextrun"], json!(3599));
        schedule.is_enabled = false;
        assert!(!schedule_object(&schedule, now).contains_key("nextrun"));
    }

    #[test]
    fn a_server_is_named_in_any_of_the_three_spellings() {
        for key in ["instance-id", "instance_id", "id"] {
            let given: InstanceRef = serde_json::from_value(json!({key: "vm-1"})).unwrap();
            assert_eq!(given.instance_id, "vm-1");
        }
    }

    #[test]
    fn metadata_is_kept_as_strings() {
        let given = json!({"a": "x", "b": 3, "c": true});
        let kept = metadata_strings(given.as_object().unwrap().clone()).unwrap();
        assert_eq!(kept["a"], "x");
        assert_eq!(kept["b"], "3");
        assert_eq!(kept["c"], "true");
    }
}
