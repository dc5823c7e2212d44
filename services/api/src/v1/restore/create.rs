//! `POST /v1/{project_id}/snapshots/{id}`, and `.../workloads/{workload_id}/snapshots/{id}/restores`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use services_db::{NewRestore, Snapshot};
use services_types::{FlowId, RestoreId};

use super::options::CreateRestore;
use super::wire::{RestoreAnswer, RestoreObject};
use crate::access::Access;
use crate::app::Shared;
use crate::body::Json;
use crate::cloud;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, Named};

/// Asks for a restore of a snapshot.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
    Json(body): Json<CreateRestore>,
) -> Result<HttpResponse, ApiError> {
    let of_workload = path.workload_id.as_deref();
    let snapshot = lookup::snapshot(&shared.datastore, &access, &path.id, of_workload).await?;
    let wanted = body.restore.read()?;
    refuse_while_originals_exist(&shared, &access, &snapshot).await?;
    let new = NewRestore {
        id: RestoreId::random(),
        snapshot_id: snapshot.id,
        user_id: access.user_id,
        project_id: snapshot.project_id,
        name: wanted.name,
        description: wanted.description,
        options: wanted.options,
    };
    let row = shared
        .datastore
        .restore_request(new, FlowId::random())
        .await?;
    let links = Links::of(&request);
    Ok(HttpResponse::Accepted().json(RestoreAnswer {
        restore: RestoreObject::new(row, &links),
    }))
}

/// An early answer to the most frequent mistake, where the caller's token can see the servers; the
/// engine's plan decides.
async fn refuse_while_originals_exist(
    shared: &Shared,
    access: &Access,
    snapshot: &Snapshot,
) -> Result<(), ApiError> {
    if !access.is_in_own_project() || !access.owns(&snapshot.project_id) {
        return Ok(());
    }
    let cloud = cloud::as_caller(&shared.keystone, access).await?;
    for vm in shared.datastore.snapshot_vms(snapshot.id).await? {
        match cloud.compute().server_fetch(&vm.server_id).await {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(server) if server.status == "DELETED" => {}
            Ok(_) => {
                return Err(ApiError::Conflict(format!(
                    "One-click restore makes the original instances anew, but {} ({}) still exists.",
                    vm.server_id, vm.name
                )));
            }
        }
    }
    Ok(())
}
