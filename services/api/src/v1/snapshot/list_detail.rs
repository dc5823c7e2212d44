//! `GET /v1/{project_id}/snapshots/detail`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query};

use super::list::{Filter, rows};
use super::wire::{SnapshotListDetail, SnapshotObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::v1::wire::Links;

/// Lists snapshots with all there is to know of them but their servers.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<Json<SnapshotListDetail>, ApiError> {
    let links = Links::of(&request);
    let rows = rows(&shared, &access, filter).await?.into_iter();
    let snapshots = rows.map(|row| SnapshotObject::new(row, &links)).collect();
    Ok(Json(SnapshotListDetail { snapshots }))
}
