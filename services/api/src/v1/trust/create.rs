//! `POST /v1/{project_id}/trusts`

use actix_web::web::{self, Data};

use super::ensure::{ensure_trust, replace_trust};
use super::wire::{CreateTrust, TrustList, TrustObject};
use crate::access::Access;
use crate::app::Shared;
use crate::body::Json;
use crate::error::ApiError;

/// Makes a trust of the caller with the roles that they name; it replaces the one before.
pub(crate) async fn handle(
    shared: Data<Shared>,
    access: Access,
    Json(body): Json<CreateTrust>,
) -> Result<web::Json<TrustList>, ApiError> {
    if !access.is_in_own_project() {
        return Err(ApiError::Forbidden(
            "A trust is made with a token of its own project.".to_owned(),
        ));
    }
    if body.trusts.is_cloud_trust == Some(true) {
        return Err(ApiError::BadRequest(
            "Cloud trusts are not supported.".to_owned(),
        ));
    }
    let roles = named(
        &access,
        body.trusts.role_name.as_deref().unwrap_or_default(),
    )?;
    let trust = if roles.is_empty() {
        ensure_trust(&shared, &access).await?
    } else {
        replace_trust(&shared, &access, roles).await?
    };
    Ok(web::Json(TrustList {
        trust: vec![TrustObject::new(trust)],
    }))
}

fn named(access: &Access, text: &str) -> Result<Vec<String>, ApiError> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let held = access
                .caller
                .info
                .roles
                .iter()
                .find(|role| role.eq_ignore_ascii_case(name));
            let shown: String = name.chars().take(64).collect();
            held.cloned().ok_or_else(|| {
                ApiError::BadRequest(format!(
                    "You do not have the role `{shown}` in this project."
                ))
            })
        })
        .collect()
}
