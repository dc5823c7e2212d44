//! `GET /v1/{project_id}/restores`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query};
use serde::Deserialize;
use services_db::{Restore, RestoreFilter};
use utoipa::IntoParams;

use super::wire::{RestoreList, RestoreListObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::{Links, lenient_bool};

/// Which restores to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Those of this snapshot.
    snapshot_id: Option<String>,
    /// Those of all projects; administrators only.
    #[serde(default, deserialize_with = "lenient_bool")]
    all: Option<bool>,
    /// Those of this project; of another one administrators only.
    project_id: Option<String>,
}

/// Lists restores.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<Json<RestoreList>, ApiError> {
    let links = Links::of(&request);
    let rows = rows(&shared, &access, filter).await?;
    let restores = rows
        .iter()
        .map(|row| RestoreListObject::new(row, &links))
        .collect();
    Ok(Json(RestoreList { restores }))
}

pub(super) async fn rows(
    shared: &Shared,
    access: &Access,
    filter: Filter,
) -> Result<Vec<Restore>, ApiError> {
    let mut wanted = RestoreFilter::default();
    if let Some(id) = filter.snapshot_id.filter(|id| !id.is_empty()) {
        wanted.snapshot_id = Some(
            lookup::snapshot(&shared.datastore, access, &id, None)
                .await?
                .id,
        );
    } else {
        let wants_all = filter.all.unwrap_or(false);
        let Some(scope) = access.list_scope(wants_all, filter.project_id.as_deref()) else {
            return Ok(Vec::new());
        };
        wanted.project_id = scope;
    }
    Ok(shared.datastore.restore_list(wanted).await?)
}
