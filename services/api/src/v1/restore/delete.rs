//! `DELETE /v1/{project_id}/restores/{id}`, also below its snapshot

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Deletes the record of a settled restore; what was restored stays.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let row = lookup::restore(&shared.datastore, &access, &path).await?;
    shared.datastore.restore_delete(row.id).await?;
    Ok(HttpResponse::Accepted().finish())
}
