//! The contract's shapes of a snapshot. All sizes are bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use services_db::Snapshot;
use utoipa::ToSchema;

use super::instances::InstanceObject;
use crate::v1::wire::{Link, Links, Moment};

/// `{"snapshot": {..}}` of a request to take one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateSnapshot {
    /// What to call it.
    pub(crate) snapshot: NewSnapshotObject,
}

/// A snapshot to be taken. A `full` in here is without meaning: the query decides.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct NewSnapshotObject {
    /// Display name; `snapshot` if left out.
    pub(crate) name: Option<String>,
    /// Free text.
    pub(crate) description: Option<String>,
}

/// `{"snapshots": [..]}`
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotList {
    /// Oldest first.
    pub(crate) snapshots: Vec<SnapshotListObject>,
}

/// `{"snapshots": [..]}` with all there is to know.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotListDetail {
    /// Oldest first.
    pub(crate) snapshots: Vec<SnapshotObject>,
}

/// `{"snapshot": {..}}`
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotAnswer {
    /// The snapshot.
    pub(crate) snapshot: SnapshotObject,
}

/// `{"snapshot": {..}}` with the servers in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotShowAnswer {
    /// The snapshot.
    pub(crate) snapshot: SnapshotShowObject,
}

/// A snapshot in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotListObject {
    id: String,
    created_at: Moment,
    status: &'static str,
    snapshot_type: &'static str,
    workload_id: String,
    name: String,
    description: String,
    host: String,
}

/// A snapshot.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotObject {
    #[serde(flatten)]
    summary: SnapshotListObject,
    user_id: String,
    project_id: String,
    updated_at: Moment,
    finished_at: Option<Moment>,
    /// Bytes of it on the target.
    size: u64,
    /// Bytes moved so far.
    uploaded_size: u64,
    /// Bytes that a restore of it fills.
    restore_size: u64,
    /// In seconds.
    time_taken: u64,
    progress_percent: u8,
    progress_msg: Option<String>,
    warning_msg: Option<String>,
    error_msg: Option<String>,
    /// When all that it needs was last read and compared with what was written.
    verified_at: Option<Moment>,
    /// What was found to be damaged then; also in `warning_msg`.
    damage_msg: Option<String>,
    /// Always false; clients expect the key.
    pinned: bool,
    /// Always empty; clients expect the key.
    metadata: Vec<Value>,
    /// Always empty; clients expect the key.
    restores_info: &'static str,
    links: Vec<Link>,
}

/// A snapshot and its servers.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotShowObject {
    #[serde(flatten)]
    snapshot: SnapshotObject,
    instances: Vec<InstanceObject>,
}

impl SnapshotListObject {
    pub(super) fn new(row: &Snapshot) -> Self {
        Self {
            id: row.id.to_string(),
            created_at: Moment(row.created_at),
            status: row.status.as_str(),
            snapshot_type: row.snapshot_type.as_str(),
            workload_id: row.workload_id.to_string(),
            name: row.name.clone(),
            description: row.description.clone(),
            host: row.host.clone().unwrap_or_default(),
        }
    }
}

impl SnapshotObject {
    pub(crate) fn new(row: Snapshot, links: &Links) -> Self {
        Self {
            summary: SnapshotListObject::new(&row),
            links: links.to(&row.project_id, "snapshots", &row.id),
            user_id: row.user_id.to_string(),
            project_id: row.project_id.to_string(),
            updated_at: Moment(row.updated_at),
            finished_at: row.finished_at.map(Moment),
            size: row.size_bytes,
            uploaded_size: row.uploaded_bytes,
            restore_size: row.restore_bytes,
            time_taken: row.time_taken_seconds,
            progress_percent: row.progress_percent,
            progress_msg: row.progress_msg,
            warning_msg: warning(row.warning_msg, row.damage.as_deref()),
            error_msg: row.error_msg,
            verified_at: row.verified_at.map(Moment),
            damage_msg: row.damage,
            pinned: false,
            metadata: Vec::new(),
            restores_info: "",
        }
    }
}

/// Damage stands where clients show what the owner should know.
fn warning(warning: Option<String>, damage: Option<&str>) -> Option<String> {
    let Some(damage) = damage else {
        return warning;
    };
    let damage = format!("Damaged: {damage}");
    Some(warning.map_or_else(|| damage.clone(), |warning| format!("{warning}\n{damage}")))
}

impl SnapshotShowObject {
    pub(super) fn new(row: Snapshot, instances: Vec<InstanceObject>, links: &Links) -> Self {
        Self {
            snapshot: SnapshotObject::new(row, links),
            instances,
        }
    }
}
