//! `GET /v1/{project_id}/workloads` and `.../detail`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::wire::{WorkloadList, WorkloadObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::v1::wire::{Links, lenient_bool};

/// What to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Those of all projects; administrators only.
    #[serde(default, deserialize_with = "lenient_bool")]
    all_workloads: Option<bool>,
    /// The same by another name.
    #[serde(default, deserialize_with = "lenient_bool")]
    all_tenants: Option<bool>,
    /// Those of this project; of another one administrators only.
    project_id: Option<String>,
}

/// Lists workloads.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<Json<WorkloadList>, ApiError> {
    let wants_all = filter.all_workloads.or(filter.all_tenants).unwrap_or(false);
    let Some(scope) = access.list_scope(wants_all, filter.project_id.as_deref()) else {
        return Ok(Json(WorkloadList {
            workloads: Vec::new(),
        }));
    };
    let rows = shared.datastore.workload_list(scope).await?;
    let links = Links::of(&request);
    let workloads = rows
        .iter()
        .map(|row| WorkloadObject::new(row, &links))
        .collect();
    Ok(Json(WorkloadList { workloads }))
}
