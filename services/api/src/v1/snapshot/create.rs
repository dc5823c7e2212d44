//! `POST /v1/{project_id}/workloads/{id}[?full=1]`

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use services_db::NewSnapshot;
use services_types::{FlowId, SnapshotId};
use utoipa::IntoParams;

use super::wire::{CreateSnapshot, SnapshotAnswer, SnapshotObject};
use crate::access::Access;
use crate::app::Shared;
use crate::body::OptionalJson;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::trust::ensure_trust;
use crate::v1::wire::{Links, Named, check_name, lenient_bool, name_or_none};

const DEFAULT_NAME: &str = "snapshot";

/// What kind of snapshot.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Kind {
    /// All data, even where an incremental would do. Only this decides, never the body.
    #[serde(default, deserialize_with = "lenient_bool")]
    full: Option<bool>,
}

/// Asks for a snapshot of a workload.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    Query(kind): Query<Kind>,
    shared: Data<Shared>,
    access: Access,
    OptionalJson(body): OptionalJson<CreateSnapshot>,
) -> Result<HttpResponse, ApiError> {
    let workload = lookup::workload(&shared.datastore, &access, &path.id).await?;
    let given = body.map(|body| body.snapshot).unwrap_or_default();
    let name = name_or_none(given.name).unwrap_or_else(|| DEFAULT_NAME.to_owned());
    check_name(&name)?;
    if access.user_id == workload.user_id && access.is_in_own_project() {
        ensure_trust(&shared, &access).await?;
    }
    let new = NewSnapshot {
        id: SnapshotId::random(),
        workload_id: workload.id,
        user_id: access.user_id,
        project_id: workload.project_id,
        name,
        description: given.description.unwrap_or_default(),
        is_full: kind.full.unwrap_or(false),
        due_at: None,
        target_id: shared.target_id.as_deref().map(str::to_owned),
    };
    let snapshot = shared
        .datastore
        .snapshot_request(new, FlowId::random())
        .await?;
    let links = Links::of(&request);
    Ok(HttpResponse::Accepted().json(SnapshotAnswer {
        snapshot: SnapshotObject::new(snapshot, &links),
    }))
}
