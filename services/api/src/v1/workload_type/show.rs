//! `GET /v1/{project_id}/workload_types/{id}`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use super::wire::{WorkloadTypeAnswer, WorkloadTypeObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup::id_of;
use crate::v1::wire::{Links, Named};

/// Shows one workload type.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<WorkloadTypeAnswer>, ApiError> {
    let id = id_of("workload type", &path.id)?;
    let row = shared.datastore.workload_type_fetch(id).await?;
    let links = Links::of(&request);
    Ok(Json(WorkloadTypeAnswer {
        workload_type: WorkloadTypeObject::new(row, &links, &access.project_id),
    }))
}
