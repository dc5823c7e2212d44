//! The contract's shapes of a restore. All sizes are bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use services_db::{Restore, RestoredServer, Snapshot};
use utoipa::ToSchema;

use super::options::shown;
use crate::v1::snapshot::SnapshotObject;
use crate::v1::wire::{Link, Links, Moment};

/// `{"restores": [..]}`
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreList {
    /// Oldest first.
    pub(crate) restores: Vec<RestoreListObject>,
}

/// `{"restores": [..]}` with all there is to know.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreListDetail {
    /// Oldest first.
    pub(crate) restores: Vec<RestoreObject>,
}

/// `{"restore": {..}}`
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreAnswer {
    /// The restore.
    pub(crate) restore: RestoreObject,
}

/// `{"restore": {..}}` with what it made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreShowAnswer {
    /// The restore.
    pub(crate) restore: RestoreShowObject,
}

/// A restore in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreListObject {
    id: String,
    created_at: Moment,
    updated_at: Moment,
    status: &'static str,
    snapshot_id: String,
    project_id: String,
    name: String,
    description: String,
    links: Vec<Link>,
}

/// A restore.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreObject {
    #[serde(flatten)]
    summary: RestoreListObject,
    user_id: String,
    finished_at: Option<Moment>,
    /// Always `restore`; the kind stands in the options.
    restore_type: &'static str,
    host: String,
    /// Bytes that are written to disks in all.
    size: u64,
    /// Bytes written so far.
    uploaded_size: u64,
    /// In seconds.
    time_taken: u64,
    progress_percent: u8,
    progress_msg: Option<String>,
    warning_msg: Option<String>,
    error_msg: Option<String>,
    #[schema(value_type = Object)]
    restore_options: Value,
    /// Always empty; clients expect the key.
    metadata: Vec<Value>,
}

/// A restore and what it made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreShowObject {
    #[serde(flatten)]
    restore: RestoreObject,
    instances: Vec<RestoredInstanceObject>,
    /// A one-click restore makes none.
    networks: Vec<Value>,
    /// A one-click restore makes none.
    subnets: Vec<Value>,
    /// A one-click restore makes none.
    routers: Vec<Value>,
    /// Always empty; clients expect the key.
    flavors: Vec<Value>,
    /// Null once the snapshot was deleted.
    snapshot_details: Option<SnapshotObject>,
}

/// A server that it made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoredInstanceObject {
    id: String,
    name: String,
    status: &'static str,
    /// `instance_id` is the server it was made after.
    metadata: BTreeMap<&'static str, String>,
}

impl RestoreListObject {
    pub(super) fn new(row: &Restore, links: &Links) -> Self {
        Self {
            id: row.id.to_string(),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            status: row.status.as_str(),
            snapshot_id: row.snapshot_id.to_string(),
            project_id: row.project_id.to_string(),
            name: row.name.clone(),
            description: row.description.clone(),
            links: links.to(&row.project_id, "restores", &row.id),
        }
    }
}

impl RestoreObject {
    pub(super) fn new(row: Restore, links: &Links) -> Self {
        Self {
            restore_options: shown(&row.options, &row.name, &row.description),
            summary: RestoreListObject::new(&row, links),
            user_id: row.user_id.to_string(),
            finished_at: row.finished_at.map(Moment),
            restore_type: "restore",
            host: row.host.unwrap_or_default(),
            size: row.size_bytes,
            uploaded_size: row.uploaded_bytes,
            time_taken: row.time_taken_seconds,
            progress_percent: row.progress_percent,
            progress_msg: row.progress_msg,
            warning_msg: row.warning_msg,
            error_msg: row.error_msg,
            metadata: Vec::new(),
        }
    }
}

impl RestoreShowObject {
    pub(super) fn new(
        row: Restore,
        servers: Vec<RestoredServer>,
        snapshot: Option<Snapshot>,
        links: &Links,
    ) -> Self {
        Self {
            restore: RestoreObject::new(row, links),
            instances: servers
                .into_iter()
                .map(RestoredInstanceObject::new)
                .collect(),
            networks: Vec::new(),
            subnets: Vec::new(),
            routers: Vec::new(),
            flavors: Vec::new(),
            snapshot_details: snapshot.map(|row| SnapshotObject::new(row, links)),
        }
    }
}

impl RestoredInstanceObject {
    fn new(server: RestoredServer) -> Self {
        Self {
            id: server.server_id.to_string(),
            name: server.name,
            status: "available",
            metadata: BTreeMap::from([("instance_id", server.original_id.to_string())]),
        }
    }
}
