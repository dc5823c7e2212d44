//! `PUT /v1/{project_id}/workloads/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use services_db::{Member, Workload, WorkloadChange};
use services_types::WorkloadId;

use super::members;
use super::wire::{
    ChangeWorkload, WorkloadAnswer, WorkloadChangeObject, WorkloadObject, metadata_strings,
};
use crate::access::Access;
use crate::app::Shared;
use crate::body::Json;
use crate::cloud;
use crate::error::ApiError;
use crate::lookup;
use crate::uninterrupted::uninterrupted;
use crate::v1::wire::{Links, Named, check_name, name_or_none};

/// Changes what is named, all of it or nothing. The servers' labels follow; where that fails, the
/// same request sent again completes it.
pub(crate) async fn handle(
    request: HttpRequest,
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
    Json(body): Json<ChangeWorkload>,
) -> Result<HttpResponse, ApiError> {
    let before = lookup::workload(&shared.datastore, &access, &path.id).await?;
    let members = new_members(&shared, &access, &before, &body.workload).await?;
    let change = read(body.workload, &before, members)?;
    let workload = uninterrupted(apply(shared.as_ref().clone(), access, before.id, change)).await?;
    let links = Links::of(&request);
    Ok(HttpResponse::Accepted().json(WorkloadAnswer {
        workload: WorkloadObject::new(&workload, &links),
    }))
}

async fn new_members(
    shared: &Shared,
    access: &Access,
    workload: &Workload,
    change: &WorkloadChangeObject,
) -> Result<Option<Vec<Member>>, ApiError> {
    let Some(given) = &change.instances else {
        return Ok(None);
    };
    let cloud = cloud::as_caller(&shared.keystone, access).await?;
    let project_id = &workload.project_id;
    members::resolve(&*cloud, &shared.datastore, project_id, workload.id, given)
        .await
        .map(Some)
}

fn read(
    given: WorkloadChangeObject,
    before: &Workload,
    members: Option<Vec<Member>>,
) -> Result<WorkloadChange, ApiError> {
    let name = name_or_none(given.name);
    name.as_deref().map_or(Ok(()), check_name)?;
    let schedule = given
        .jobschedule
        .filter(|schedule| !schedule.is_null())
        .map(|schedule| {
            lookup::schedule(before)?
                .updated(&schedule)
                .map_err(bad_schedule)
        })
        .transpose()?;
    Ok(WorkloadChange {
        name,
        description: given.description,
        schedule: schedule.map(|schedule| schedule.to_contract().into()),
        metadata: given.metadata.map(metadata_strings).transpose()?,
        members,
    })
}

fn bad_schedule(error: services_types::InvalidSchedule) -> ApiError {
    ApiError::BadRequest(error.to_string())
}

async fn apply(
    shared: Shared,
    access: Access,
    id: WorkloadId,
    change: WorkloadChange,
) -> Result<Workload, ApiError> {
    let needs_labels = change.members.is_some() || change.name.is_some();
    let changed = shared.datastore.workload_update(id, change).await?;
    let workload = shared.datastore.workload_fetch(id).await?;
    if needs_labels {
        relabel(&shared, &access, &workload, &changed.removed).await?;
    }
    Ok(workload)
}

async fn relabel(
    shared: &Shared,
    access: &Access,
    workload: &Workload,
    removed: &[Member],
) -> Result<(), ApiError> {
    let cloud = cloud::as_caller(&shared.keystone, access).await?;
    let members = shared.datastore.workload_members(workload.id).await?;
    cloud::unlabel(&*cloud, removed).await?;
    cloud::label(&*cloud, &members, workload.id, &workload.name).await
}
