//! `DELETE /v1/{project_id}/snapshots/{id}`, also below its workload

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use services_types::FlowId;

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Asks for the deletion of a snapshot.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let of_workload = path.workload_id.as_deref();
    let row = lookup::snapshot(&shared.datastore, &access, &path.id, of_workload).await?;
    shared
        .datastore
        .snapshot_delete_request(row.id, FlowId::random())
        .await?;
    Ok(HttpResponse::Accepted().finish())
}
