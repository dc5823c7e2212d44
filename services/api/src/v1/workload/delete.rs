//! `DELETE /v1/{project_id}/workloads/{id}`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use services_types::{FlowId, WorkloadStatus};

use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Asks for the deletion of a workload without snapshots.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let workload = lookup::workload(&shared.datastore, &access, &path.id).await?;
    if workload.status == WorkloadStatus::Creating {
        // Whoever was making it has died, or will find it gone.
        let message = "deleted before it was complete";
        shared
            .datastore
            .workload_set_error(workload.id, message)
            .await?;
    }
    shared
        .datastore
        .workload_delete_request(workload.id, FlowId::random())
        .await?;
    Ok(HttpResponse::Accepted().finish())
}
