//! Making a trust, and making sure that there is a good one: one a user and project (D12).

use services_db::{NewTrust, Trust};
use services_foundation::error_chain::ErrorChain;
use services_keystone::{KeystoneError, KeystoneErrorKind, trust_create, trust_delete};

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;

/// The caller's trust; made anew where there is none, or none that still lets us log in.
pub(crate) async fn ensure_trust(shared: &Shared, access: &Access) -> Result<Trust, ApiError> {
    let kept = shared
        .datastore
        .trust_fetch(&access.user_id, &access.project_id)
        .await?;
    if let Some(trust) = kept {
        match shared
            .keystone
            .trust_session(trust.trust_id.as_str())
            .identity()
            .await
        {
            Ok(_) => return Ok(trust),
            Err(error) if error.kind() == KeystoneErrorKind::TrustLost => {
                tracing::info!(trust = trust.name, "A trust was lost and is made anew");
            }
            Err(error) => return Err(ours(error)),
        }
    }
    let roles = handed_on(shared, access);
    if roles.is_empty() {
        return Err(ApiError::Forbidden(format!(
            "Backstay needs a trust to work for you, with one of the roles {}; you have none of them.",
            shared.trustee_roles.join(", ")
        )));
    }
    make(shared, access, roles).await
}

/// Those of the configured roles that the caller has.
fn handed_on(shared: &Shared, access: &Access) -> Vec<String> {
    let held = &access.caller.info.roles;
    let configured = |role: &&String| {
        shared
            .trustee_roles
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(role))
    };
    held.iter().filter(configured).cloned().collect()
}

/// Makes a trust in the caller's name, keeps it, and takes back those that it replaces.
pub(super) async fn make(
    shared: &Shared,
    access: &Access,
    roles: Vec<String>,
) -> Result<Trust, ApiError> {
    let trustee = shared.service.identity().await.map_err(ours)?;
    let trustor = shared.keystone.token_session(access.caller.token.clone());
    let new = services_keystone::NewTrust {
        trustee_user_id: trustee.user_id,
        roles: roles.clone(),
    };
    let made = trust_create(&trustor, &new).await?;
    let trust_id = made
        .id
        .parse()
        .map_err(|source| ApiError::internal("read the id of a trust", source))?;
    let name = format!("trust-{}", uuid::Uuid::new_v4());
    let row = NewTrust {
        name: name.clone(),
        trust_id,
        user_id: access.user_id.clone(),
        project_id: access.project_id.clone(),
        description: format!(
            "token id for user {} project {}",
            access.user_id, access.project_id
        ),
        roles: roles.join(","),
    };
    let mut superfluous: Vec<String> = Vec::new();
    let kept = match shared.datastore.trust_store(row).await {
        Ok(replaced) => {
            superfluous.extend(replaced.iter().map(|trust| trust.trust_id.to_string()));
            Ok(shared.datastore.trust_fetch_by_name(&name).await?)
        }
        Err(error) => {
            superfluous.push(made.id);
            Err(error.into())
        }
    };
    for id in superfluous {
        if let Err(error) = trust_delete(&trustor, &id).await {
            let error = ErrorChain(&error);
            tracing::warn!(trust_id = id, %error, "A trust that is no longer used stays in Keystone");
        }
    }
    kept
}

/// Keystone refused us, not the caller: nothing that they could mend.
fn ours(error: KeystoneError) -> ApiError {
    match error.kind() {
        KeystoneErrorKind::Unreachable => ApiError::Unavailable {
            service: "Keystone",
            source: error.into(),
        },
        _ => ApiError::internal("log in to Keystone", error),
    }
}
