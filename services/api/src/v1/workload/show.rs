//! `GET /v1/{project_id}/workloads/{id}`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use chrono::Utc;
use services_db::SnapshotFilter;

use super::wire::{Surroundings, WorkloadDetailAnswer, WorkloadDetailObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, Named};

/// Shows one workload.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<WorkloadDetailAnswer>, ApiError> {
    let datastore = &shared.datastore;
    let workload = lookup::workload(datastore, &access, &path.id).await?;
    let filter = SnapshotFilter {
        workload_id: Some(workload.id),
        ..SnapshotFilter::default()
    };
    let around = Surroundings {
        members: datastore.workload_members(workload.id).await?,
        metadata: datastore.workload_metadata(workload.id).await?,
        schedule: lookup::schedule(&workload)?,
        snapshots: datastore.snapshot_list(filter).await?,
        now: Utc::now(),
    };
    let links = Links::of(&request);
    Ok(Json(WorkloadDetailAnswer {
        workload: WorkloadDetailObject::new(workload, around, &links),
    }))
}
