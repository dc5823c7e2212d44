//! The contract's shape of a trust: a record of its settings, whose value is Keystone's id.

use serde::{Deserialize, Serialize};
use services_db::Trust;
use utoipa::ToSchema;

use crate::v1::wire::{Moment, lenient_bool};

/// `{"trusts": {..}}` of a request to make one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateTrust {
    /// What to hand on.
    pub(crate) trusts: NewTrustObject,
}

/// A trust to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTrustObject {
    /// Names of roles, with commas between; the configured ones if left out.
    pub(crate) role_name: Option<String>,
    /// Only `false`.
    #[serde(default, deserialize_with = "lenient_bool")]
    pub(crate) is_cloud_trust: Option<bool>,
}

/// `{"trust": [..]}`
#[derive(Serialize, ToSchema)]
pub(crate) struct TrustList {
    /// Oldest first.
    pub(crate) trust: Vec<TrustObject>,
}

/// `{"trust": {..}}`
#[derive(Serialize, ToSchema)]
pub(crate) struct TrustAnswer {
    /// The trust.
    pub(crate) trust: TrustObject,
}

/// A trust.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrustObject {
    name: String,
    project_id: String,
    user_id: String,
    /// Keystone's id.
    value: String,
    description: String,
    category: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    public: bool,
    hidden: bool,
    version: &'static str,
    created_at: Moment,
    updated_at: Moment,
    deleted_at: Option<Moment>,
    deleted: bool,
    metadata: Vec<TrustMetadata>,
}

/// The roles that it gives.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrustMetadata {
    id: String,
    settings_name: String,
    settings_project_id: String,
    key: &'static str,
    value: String,
}

impl TrustObject {
    pub(super) fn new(row: Trust) -> Self {
        let metadata = TrustMetadata {
            id: row.name.trim_start_matches("trust-").to_owned(),
            settings_name: row.name.clone(),
            settings_project_id: row.project_id.to_string(),
            key: "role_name",
            value: row.roles,
        };
        Self {
            name: row.name,
            project_id: row.project_id.to_string(),
            user_id: row.user_id.to_string(),
            value: row.trust_id.to_string(),
            description: row.description,
            category: "identity",
            kind: "trust_id",
            status: "available",
            public: false,
            hidden: true,
            version: env!("CARGO_PKG_VERSION"),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            deleted_at: None,
            deleted: false,
            metadata: vec![metadata],
        }
    }
}
