//! What a token says about who holds it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Whom a token stands for, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Keystone id; of the trustor, where the token comes from an impersonating trust.
    pub user_id: String,
    /// By name.
    pub user_name: String,
    /// `None` for a token that is not scoped to a project.
    pub project_id: Option<String>,
    /// By name.
    pub project_name: Option<String>,
    /// Names of the roles in the project.
    pub roles: Vec<String>,
    /// Keystone was told that this is the cloud's administrative project.
    pub is_admin_project: bool,
    /// The trust that the token comes from.
    pub trust_id: Option<String>,
    /// Not valid from here on.
    pub expires_at: DateTime<Utc>,
}

impl TokenInfo {
    /// Whether the holder has a role in the token's project. Keystone compares names without case.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles
            .iter()
            .any(|role| role.eq_ignore_ascii_case(name))
    }
}

#[derive(Deserialize)]
pub(crate) struct TokenEnvelope {
    pub(crate) token: TokenBody,
}

#[derive(Deserialize)]
pub(crate) struct TokenBody {
    user: Named,
    project: Option<Named>,
    #[serde(default)]
    roles: Vec<Named>,
    // Keystone leaves it out where no administrative project is configured.
    #[serde(default)]
    is_admin_project: bool,
    #[serde(rename = "OS-TRUST:trust")]
    trust: Option<Identified>,
    expires_at: DateTime<Utc>,
    #[serde(default)]
    pub(crate) catalog: Vec<CatalogService>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

#[derive(Deserialize)]
pub(crate) struct CatalogService {
    #[serde(rename = "type")]
    pub(crate) service_type: String,
    pub(crate) endpoints: Vec<CatalogEndpoint>,
}

#[derive(Deserialize)]
pub(crate) struct CatalogEndpoint {
    pub(crate) interface: String,
    pub(crate) region_id: Option<String>,
    pub(crate) url: String,
}

impl TokenBody {
    pub(crate) fn into_info(self) -> TokenInfo {
        let (project_id, project_name) = self.project.map(|p| (p.id, p.name)).unzip();
        TokenInfo {
            user_id: self.user.id,
            user_name: self.user.name,
            project_id,
            project_name,
            roles: self.roles.into_iter().map(|role| role.name).collect(),
            is_admin_project: self.is_admin_project,
            trust_id: self.trust.map(|trust| trust.id),
            expires_at: self.expires_at,
        }
    }
}
