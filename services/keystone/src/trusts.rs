//! Trusts: a tenant lets our service user act as them later, in one project, with given roles.

use serde::Deserialize;
use serde_json::json;

use crate::error::{KeystoneError, KeystoneErrorKind as Kind};
use crate::request::{Method, Request, Service};
use crate::session::Session;

/// A trust to be made.
#[derive(Clone, Debug)]
pub struct NewTrust {
    /// Our service user, by id.
    pub trustee_user_id: String,
    /// Names of roles that the trustor has in the project of their token.
    pub roles: Vec<String>,
}

/// A trust.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Trust {
    /// Its id.
    pub id: String,
    /// Who is acted for.
    pub trustor_user_id: String,
    /// Who acts.
    pub trustee_user_id: String,
    /// Where.
    pub project_id: String,
    /// The trustee appears as the trustor.
    pub impersonation: bool,
}

#[derive(Deserialize)]
struct TrustEnvelope {
    trust: Trust,
}

const SEGMENTS: [&str; 2] = ["OS-TRUST", "trusts"];

/// Makes an impersonating trust without end for the session's user and project. The session must be
/// a token session of the trustor: Keystone lets nobody else make one.
pub async fn trust_create(trustor: &Session, new: &NewTrust) -> Result<Trust, KeystoneError> {
    let operation = "make a trust";
    let identity = trustor.identity().await?;
    let Some(project_id) = identity.project_id else {
        let message = "the token is not scoped to a project";
        return Err(KeystoneError::new(Kind::Forbidden, operation, message));
    };
    let roles: Vec<_> = new
        .roles
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let body = json!({ "trust": {
        "trustor_user_id": identity.user_id,
        "trustee_user_id": new.trustee_user_id,
        "project_id": project_id,
        "impersonation": true,
        "roles": roles,
    } });
    let request = Request::new(Method::POST, Service::Identity, &SEGMENTS).body(body);
    parse(
        &trustor.send_to_keystone(&request, operation).await?,
        operation,
    )
}

/// One trust; as its trustor or its trustee. Not-found where it is gone.
pub async fn trust_fetch(session: &Session, id: &str) -> Result<Trust, KeystoneError> {
    let operation = format!("look up trust {id}");
    let request = Request::new(
        Method::GET,
        Service::Identity,
        &[SEGMENTS[0], SEGMENTS[1], id],
    );
    parse(
        &session.send_to_keystone(&request, &operation).await?,
        &operation,
    )
}

/// Deletes a trust; as its trustor. One that is gone already is success.
pub async fn trust_delete(trustor: &Session, id: &str) -> Result<(), KeystoneError> {
    let operation = format!("delete trust {id}");
    let request = Request::new(
        Method::DELETE,
        Service::Identity,
        &[SEGMENTS[0], SEGMENTS[1], id],
    );
    match trustor.send_to_keystone(&request, &operation).await {
        Err(error) if error.kind() != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse(answer: &crate::request::Answer, operation: &str) -> Result<Trust, KeystoneError> {
    answer
        .json::<TrustEnvelope>()
        .map(|envelope| envelope.trust)
        .map_err(|e| {
            KeystoneError::new(Kind::Broken, operation, "unexpected answer").with_source(e)
        })
}
