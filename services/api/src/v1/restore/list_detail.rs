//! `GET /v1/{project_id}/restores/detail`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query};

use super::list::{Filter, rows};
use super::wire::{RestoreListDetail, RestoreObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::v1::wire::Links;

/// Lists restores with all there is to know of them but what they made.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<Json<RestoreListDetail>, ApiError> {
    let links = Links::of(&request);
    let rows = rows(&shared, &access, filter).await?.into_iter();
    let restores = rows.map(|row| RestoreObject::new(row, &links)).collect();
    Ok(Json(RestoreListDetail { restores }))
}
