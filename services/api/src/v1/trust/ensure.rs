//! Making a trust, and making sure that there is a good one: one a user and project (D12).

use services_db::{NewTrust, SnapshotFilter, Trust};
use services_foundation::error_chain::ErrorChain;
use services_keystone::{KeystoneError, KeystoneErrorKind, Session, trust_create, trust_delete};
use services_types::{ProjectId, WorkloadStatus};

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::uninterrupted::uninterrupted;

/// The caller's trust; made anew where there is none, or none that still lets us log in.
pub(crate) async fn ensure_trust(shared: &Shared, access: &Access) -> Result<Trust, ApiError> {
    if let Some(trust) = good_trust(shared, access).await? {
        return Ok(trust);
    }
    let roles = handed_on(shared, access);
    if roles.is_empty() {
        return Err(ApiError::Forbidden(format!(
            "Backstay needs a trust to work for you, with one of the roles {}; you have none of them.",
            shared.trustee_roles.join(", ")
        )));
    }
    uninterrupted(make_unless(
        shared.clone(),
        access.clone(),
        roles,
        |_, _| true,
    ))
    .await
}

/// Makes a trust with these roles, unless the caller's has exactly them.
pub(super) async fn replace_trust(
    shared: &Shared,
    access: &Access,
    roles: Vec<String>,
) -> Result<Trust, ApiError> {
    let has_exactly = |trust: &Trust, roles: &[String]| trust.roles == roles.join(",");
    uninterrupted(make_unless(
        shared.clone(),
        access.clone(),
        roles,
        has_exactly,
    ))
    .await
}

/// Two requests that both find no trust must not both make one: the second would revoke the first's.
async fn make_unless(
    shared: Shared,
    access: Access,
    roles: Vec<String>,
    is_enough: impl Fn(&Trust, &[String]) -> bool,
) -> Result<Trust, ApiError> {
    let _one_at_a_time = shared.making_trust.lock().await;
    match good_trust(&shared, &access).await? {
        Some(trust) if is_enough(&trust, &roles) => Ok(trust),
        _ => make(&shared, &access, roles).await,
    }
}

async fn good_trust(shared: &Shared, access: &Access) -> Result<Option<Trust>, ApiError> {
    let kept = shared
        .datastore
        .trust_fetch(&access.user_id, &access.project_id)
        .await?;
    let Some(trust) = kept else {
        return Ok(None);
    };
    match shared
        .keystone
        .trust_session(trust.trust_id.as_str())
        .identity()
        .await
    {
        Ok(_) => Ok(Some(trust)),
        Err(error) if error.kind() == KeystoneErrorKind::TrustLost => {
            tracing::info!(trust = trust.name, "A trust was lost and is made anew");
            Ok(None)
        }
        Err(error) => Err(ours(error)),
    }
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
async fn make(shared: &Shared, access: &Access, roles: Vec<String>) -> Result<Trust, ApiError> {
    let trustee = shared.service.identity().await.map_err(ours)?;
    let trustor = shared.keystone.token_session(access.caller.token.clone());
    let new = services_keystone::NewTrust {
        trustee_user_id: trustee.user_id,
        roles: roles.clone(),
    };
    let made = trust_create(&trustor, &new).await?;
    let row = NewTrust {
        name: format!("trust-{}", uuid::Uuid::new_v4()),
        trust_id: made
            .id
            .parse()
            .map_err(|source| ApiError::internal("read the id of a trust", source))?,
        user_id: access.user_id.clone(),
        project_id: access.project_id.clone(),
        description: format!(
            "token id for user {} project {}",
            access.user_id, access.project_id
        ),
        roles: roles.join(","),
    };
    match shared.datastore.trust_store(row).await {
        Ok(replaced) => revoke_replaced(shared, access, &trustor, &replaced).await?,
        Err(error) => {
            revoke(&trustor, &made.id).await;
            return Err(error.into());
        }
    }
    let kept = shared
        .datastore
        .trust_fetch(&access.user_id, &access.project_id)
        .await?;
    kept.ok_or_else(|| ApiError::Conflict("The trust was deleted while it was made.".to_owned()))
}

/// A flow that runs has logged in by a trust, and revoking that ends its token: then it is left to
/// Keystone, where its owner sees it.
async fn revoke_replaced(
    shared: &Shared,
    access: &Access,
    trustor: &Session,
    replaced: &[Trust],
) -> Result<(), ApiError> {
    if replaced.is_empty() {
        return Ok(());
    }
    let is_in_use = is_worked_on(shared, &access.project_id).await?;
    for trust in replaced {
        let trust_id = trust.trust_id.as_str();
        if is_in_use {
            tracing::warn!(trust_id, "A replaced trust is in use and stays in Keystone");
        } else {
            revoke(trustor, trust_id).await;
        }
    }
    Ok(())
}

async fn is_worked_on(shared: &Shared, project_id: &ProjectId) -> Result<bool, ApiError> {
    let filter = SnapshotFilter {
        project_id: Some(project_id.clone()),
        ..SnapshotFilter::default()
    };
    let snapshots = shared.datastore.snapshot_list(filter).await?;
    let workloads = shared
        .datastore
        .workload_list(Some(project_id.clone()))
        .await?;
    Ok(snapshots.iter().any(|it| !it.status.is_settled())
        || workloads
            .iter()
            .any(|it| it.status == WorkloadStatus::Deleting))
}

async fn revoke(trustor: &Session, trust_id: &str) {
    if let Err(error) = trust_delete(trustor, trust_id).await {
        let error = ErrorChain(&error);
        tracing::warn!(trust_id, %error, "A trust that is no longer used stays in Keystone");
    }
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
