//! `GET /v1/{project_id}/workload_types` and `.../detail`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};

use super::wire::{WorkloadTypeList, WorkloadTypeObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::v1::wire::Links;

/// Lists the workload types.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<WorkloadTypeList>, ApiError> {
    let links = Links::of(&request);
    let rows = shared.datastore.workload_type_list().await?;
    let objects = rows
        .into_iter()
        .map(|row| WorkloadTypeObject::new(row, &links, &access.project_id));
    Ok(Json(WorkloadTypeList {
        workload_types: objects.collect(),
    }))
}
