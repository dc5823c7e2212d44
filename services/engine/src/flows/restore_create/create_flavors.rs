//! Makes the flavors that are gone, for the project alone. Only administrators can.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_openstack::CloudErrorKind;
use services_types::{FlavorId, FlavorRecord, ServerId};
use uuid::Uuid;

use super::plan_restore::PlanRestore;
use crate::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};

/// For each server, the flavor it gets.
#[derive(Debug)]
pub(super) struct CreateFlavors;

#[async_trait]
impl Step for CreateFlavors {
    const NAME: &'static str = "create_flavors";
    type Output = BTreeMap<ServerId, FlavorId>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let mut flavors = BTreeMap::new();
        for server in &plan.servers {
            let id = match plan.flavors.get(&server.id).cloned().flatten() {
                Some(id) => id,
                None => create(cx, &server.id, &server.flavor).await?,
            };
            flavors.insert(server.id.clone(), id);
        }
        Ok(flavors)
    }
}

/// The flavor of one server in this flow: derived, so that a repeated step asks for the same one.
pub(super) fn flavor_id(cx: &FlowContext, server_id: &ServerId) -> Result<FlavorId, StepFailure> {
    Uuid::new_v5(cx.claim().flow_id.as_uuid(), server_id.as_str().as_bytes())
        .to_string()
        .parse()
        .map_err(|e| StepFailure::because("A flavor's id cannot be made", &e))
}

async fn create(
    cx: &StepContext,
    server_id: &ServerId,
    flavor: &FlavorRecord,
) -> Result<FlavorId, StepFailure> {
    let id = flavor_id(cx, server_id)?;
    // Flavor names are the cloud's: the original's may have been given to another size since.
    let new = FlavorRecord {
        id: Some(id.clone()),
        name: format!("{}-restored-{id}", flavor.name),
        ..flavor.clone()
    };
    match cx
        .service()
        .await?
        .compute()
        .flavor_create(&new, &cx.claim().project_id)
        .await
    {
        Ok(id) => Ok(id),
        Err(error) if error.kind() == CloudErrorKind::Conflict => Ok(id),
        Err(error) => Err(error.into()),
    }
}
