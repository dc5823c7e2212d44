//! `GET /v1/{project_id}/restores/{id}/cancel`: a GET that changes something, as the contract has it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use services_db::FlowSubject;

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Asks a running restore to stop.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let row = lookup::restore(&shared.datastore, &access, &path).await?;
    shared
        .datastore
        .flow_cancel_request(FlowSubject::Restore(row.id))
        .await?;
    Ok(HttpResponse::Accepted().finish())
}
