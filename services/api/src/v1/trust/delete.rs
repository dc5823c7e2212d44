//! `DELETE /v1/{project_id}/trusts/{id}`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use services_keystone::trust_delete;

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Revokes a trust in Keystone, in the caller's name, and forgets it.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let row = lookup::trust(&shared.datastore, &access, &path.id).await?;
    let trustor = shared.keystone.token_session(access.caller.token.clone());
    trust_delete(&trustor, row.trust_id.as_str()).await?;
    shared.datastore.trust_delete(&row.name).await?;
    Ok(HttpResponse::Ok().finish())
}
