//! `POST /v1/{project_id}/snapshots/{id}/verify`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use services_types::FlowId;

use super::wire::{SnapshotAnswer, SnapshotObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, Named};

/// Asks for the verification of a snapshot.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let of_workload = path.workload_id.as_deref();
    let row = lookup::snapshot(&shared.datastore, &access, &path.id, of_workload).await?;
    let row = shared
        .datastore
        .snapshot_verify_request(row.id, FlowId::random())
        .await?;
    let links = Links::of(&request);
    Ok(HttpResponse::Accepted().json(SnapshotAnswer {
        snapshot: SnapshotObject::new(row, &links),
    }))
}
