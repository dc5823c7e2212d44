//! `GET /v1/{project_id}/trusts`

use actix_web::web::{Data, Json};

use super::wire::{TrustList, TrustObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;

/// Lists the caller's trusts; administrators see those of the whole project.
pub(crate) async fn handle(
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<TrustList>, ApiError> {
    let rows = shared
        .datastore
        .trust_list(&access.project_id)
        .await?
        .into_iter();
    let visible = rows.filter(|row| access.is_admin || row.user_id == access.user_id);
    Ok(Json(TrustList {
        trust: visible.map(TrustObject::new).collect(),
    }))
}
