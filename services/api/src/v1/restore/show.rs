//! `GET /v1/{project_id}/restores/{id}`, also below its snapshot

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use super::wire::{RestoreShowAnswer, RestoreShowObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, Named};

/// Shows one restore with what it made.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<RestoreShowAnswer>, ApiError> {
    let datastore = &shared.datastore;
    let row = lookup::restore(datastore, &access, &path).await?;
    let servers = datastore.restored_servers(row.id).await?;
    let snapshot = match datastore.snapshot_fetch(row.snapshot_id).await {
        Err(services_db::Error::NotFound { .. }) => None,
        other => Some(other?),
    };
    let links = Links::of(&request);
    let restore = RestoreShowObject::new(row, servers, snapshot, &links);
    Ok(Json(RestoreShowAnswer { restore }))
}
