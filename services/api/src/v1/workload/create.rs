//! `POST /v1/{project_id}/workloads`
//!
//! Order: everything that can refuse comes first (body, servers, trust), then the row with its claims
//! on the servers, then the labels on the servers. Labels that cannot be written take the workload
//! back by its usual deletion, which the engine carries out.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use services_db::{NewWorkload, Workload};
use services_foundation::error_chain::ErrorChain;
use services_openstack::Cloud;
use services_types::{FlowId, JobSchedule, SERIAL, WorkloadId, WorkloadTypeId};

use super::members;
use super::wire::{
    CreateWorkload, NewWorkloadObject, WorkloadAnswer, WorkloadObject, metadata_strings,
};
use crate::access::Access;
use crate::app::Shared;
use crate::body::Json;
use crate::cloud;
use crate::error::ApiError;
use crate::lookup::id_of;
use crate::uninterrupted::uninterrupted;
use crate::v1::trust::ensure_trust;
use crate::v1::wire::{Links, check_name, check_short, name_or_none};

const DEFAULT_NAME: &str = "workload";

/// Makes a workload.
pub(crate) async fn handle(
    request: HttpRequest,
    shared: Data<Shared>,
    access: Access,
    Json(body): Json<CreateWorkload>,
) -> Result<HttpResponse, ApiError> {
    if !access.is_in_own_project() {
        return Err(ApiError::Forbidden(
            "A workload is made with a token of its own project.".to_owned(),
        ));
    }
    let mut new = read(body.workload, &access)?;
    let cloud = cloud::as_caller(&shared.keystone, &access).await?;
    new.row.members = members::resolve(
        &*cloud,
        &shared.datastore,
        &access.project_id,
        new.row.id,
        &new.instances,
    )
    .await?;
    ensure_trust(&shared, &access).await?;
    let workload = uninterrupted(make(shared.as_ref().clone(), cloud, new.row)).await?;
    let links = Links::of(&request);
    Ok(HttpResponse::Accepted().json(WorkloadAnswer {
        workload: WorkloadObject::new(&workload, &links),
    }))
}

struct Wanted {
    row: NewWorkload,
    instances: Vec<super::wire::InstanceRef>,
}

fn read(given: NewWorkloadObject, access: &Access) -> Result<Wanted, ApiError> {
    let name = name_or_none(given.name).unwrap_or_else(|| DEFAULT_NAME.to_owned());
    check_name(&name)?;
    check_short(
        "source_platform",
        given.source_platform.as_deref().unwrap_or_default(),
    )?;
    if given.encryption == Some(true) {
        return Err(ApiError::BadRequest(
            "Encrypted workloads are not supported.".to_owned(),
        ));
    }
    let metadata = given
        .metadata
        .map(metadata_strings)
        .transpose()?
        .unwrap_or_default();
    let type_id = given.workload_type_id.filter(|id| !id.trim().is_empty());
    let type_id = type_id.as_deref().unwrap_or(SERIAL);
    let schedule = JobSchedule::parse(&given.jobschedule, Utc::now())
        .map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let row = NewWorkload {
        id: WorkloadId::random(),
        user_id: access.user_id.clone(),
        project_id: access.project_id.clone(),
        name,
        description: given.description.unwrap_or_default(),
        workload_type_id: id_of::<WorkloadTypeId>("workload type", type_id)?,
        source_platform: given.source_platform,
        schedule: schedule.to_contract().into(),
        availability_zone: None,
        metadata,
        members: Vec::new(),
    };
    Ok(Wanted {
        row,
        instances: given.instances,
    })
}

async fn make(
    shared: Shared,
    cloud: Arc<dyn Cloud>,
    new: NewWorkload,
) -> Result<Workload, ApiError> {
    let workload = shared.datastore.workload_create(new.clone()).await?;
    match cloud::label(&*cloud, &new.members, new.id, &new.name).await {
        Ok(()) => shared.datastore.workload_set_available(new.id).await?,
        Err(refused) => {
            take_back(&shared, new.id, &refused).await;
            return Err(refused);
        }
    }
    Ok(workload)
}

async fn take_back(shared: &Shared, id: WorkloadId, refused: &ApiError) {
    let message = format!("its servers could not be labelled: {refused}");
    let taken_back = async {
        shared.datastore.workload_set_error(id, &message).await?;
        shared
            .datastore
            .workload_delete_request(id, FlowId::random())
            .await
    };
    if let Err(error) = taken_back.await {
        let error = ErrorChain(&error);
        tracing::error!(workload_id = %id, %error, "A half-made workload could not be taken back");
    }
}
