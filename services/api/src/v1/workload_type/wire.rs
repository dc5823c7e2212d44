//! The contract's shape of a workload type.

use serde::Serialize;
use serde_json::Value;
use services_db::WorkloadType;
use services_types::ProjectId;
use utoipa::ToSchema;

use crate::v1::wire::{Link, Links, Moment};

/// `{"workload_type": {..}}`
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadTypeAnswer {
    /// The type.
    pub(crate) workload_type: WorkloadTypeObject,
}

/// `{"workload_types": [..]}`
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadTypeList {
    /// All types.
    pub(crate) workload_types: Vec<WorkloadTypeObject>,
}

/// One workload type.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadTypeObject {
    id: String,
    name: String,
    description: String,
    is_public: bool,
    status: String,
    created_at: Moment,
    updated_at: Moment,
    /// Types have no settings of their own.
    metadata: Vec<Value>,
    links: Vec<Link>,
}

impl WorkloadTypeObject {
    pub(super) fn new(row: WorkloadType, links: &Links, project_id: &ProjectId) -> Self {
        Self {
            links: links.to(project_id, "workload_types", &row.id),
            id: row.id.to_string(),
            name: row.name,
            description: row.description,
            is_public: row.is_public,
            status: row.status,
            created_at: Moment(row.created_at),
            updated_at: Moment(row.created_at),
            metadata: Vec::new(),
        }
    }
}
