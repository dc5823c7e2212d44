//! `GET /v1/{project_id}/snapshots/{id}/cancel`: a GET that changes something, as the contract has it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use services_db::FlowSubject;

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Asks a running snapshot to stop.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let row = lookup::snapshot(&shared.datastore, &access, &path.id, None).await?;
    shared
        .datastore
        .flow_cancel_request(FlowSubject::Snapshot(row.id))
        .await?;
    Ok(HttpResponse::Accepted().finish())
}
