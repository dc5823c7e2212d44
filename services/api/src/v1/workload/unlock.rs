//! `POST /v1/{project_id}/workloads/{id}/unlock`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Sets a workload back to available. A flow that works on it goes on, and a second one is still
/// refused: what runs is told from the snapshots, not from the lock.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let workload = lookup::workload(&shared.datastore, &access, &path.id).await?;
    shared
        .datastore
        .workload_unlock_by_owner(workload.id)
        .await?;
    Ok(HttpResponse::Accepted().finish())
}
