//! `GET /v1/{project_id}/snapshots/{id}`, also below its workload

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use super::instances::instances;
use super::wire::{SnapshotShowAnswer, SnapshotShowObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, Named};

/// Shows one snapshot with its servers.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<SnapshotShowAnswer>, ApiError> {
    let datastore = &shared.datastore;
    let of_workload = path.workload_id.as_deref();
    let row = lookup::snapshot(datastore, &access, &path.id, of_workload).await?;
    let topology = datastore.snapshot_topology_fetch(row.id).await?;
    let vms = datastore.snapshot_vms(row.id).await?;
    let instances = instances(row.id, topology.as_ref(), &vms);
    let links = Links::of(&request);
    Ok(Json(SnapshotShowAnswer {
        snapshot: SnapshotShowObject::new(row, instances, &links),
    }))
}
