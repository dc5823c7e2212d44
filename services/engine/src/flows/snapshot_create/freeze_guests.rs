//! Freezes the file systems of all running guests, so that their disks agree with each other.

use agent_contract::{FreezeOutcome, FreezeRequest};
use async_trait::async_trait;
use futures::future::join_all;
use services_foundation::error_chain::ErrorChain;
use services_types::{ServerId, ServerRecord};
use tracing::warn;
use uuid::Uuid;

use super::read_topology::ReadTopology;
use crate::runner::{Step, StepContext, StepFailure};

/// Freezes all guests at once. A guest that cannot be frozen is a warning, not a failure.
#[derive(Debug)]
pub(super) struct FreezeGuests;

#[async_trait]
impl Step for FreezeGuests {
    const NAME: &'static str = "freeze_guests";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let topology = cx.output_of::<ReadTopology>()?;
        let running = topology.servers.iter().filter(|server| is_running(server));
        let frozen = join_all(running.map(|server| freeze(cx, server))).await;
        let mut warnings = Vec::new();
        for result in frozen {
            warnings.extend(result?);
        }
        Ok(warnings)
    }
}

fn is_running(server: &ServerRecord) -> bool {
    server.status == "ACTIVE"
}

/// The freeze of one server in this flow: derived, so that a repeated step asks for the same one.
fn freeze_id(cx: &StepContext, server_id: &ServerId) -> Uuid {
    Uuid::new_v5(cx.claim().flow_id.as_uuid(), server_id.as_str().as_bytes())
}

async fn freeze(cx: &StepContext, server: &ServerRecord) -> Result<Option<String>, StepFailure> {
    let deadline = cx.settings().freeze_deadline.as_secs();
    let request = FreezeRequest {
        epoch: cx.claim().epoch,
        server_id: server.id.to_string(),
        deadline_seconds: u32::try_from(deadline).unwrap_or(u32::MAX),
    };
    let id = freeze_id(cx, &server.id);
    let reason = match cx
        .datamover()
        .await?
        .freeze_start(&server.host, id, &request)
        .await
    {
        Ok(FreezeOutcome::Frozen { .. }) => return Ok(None),
        Ok(FreezeOutcome::NotPossible { reason }) => reason,
        Ok(FreezeOutcome::Thawed { .. }) => "it was thawed before its time".to_owned(),
        Err(error) => {
            warn!(server_id = %server.id, cause = %ErrorChain(&error), "guest was not frozen");
            "its datamover could not be asked".to_owned()
        }
    };
    Ok(Some(format!(
        "Server {} ({}) was not frozen, its backup is crash-consistent: {reason}",
        server.name, server.id
    )))
}

/// Thaws what the flow froze; gives warnings for guests that were thawed too early or not reached.
pub(super) async fn thaw_all(cx: &StepContext) -> Result<Vec<String>, StepFailure> {
    let topology = cx.output_of::<ReadTopology>()?;
    let running = topology.servers.iter().filter(|server| is_running(server));
    let thawed = join_all(running.map(|server| thaw(cx, server))).await;
    let mut warnings = Vec::new();
    for result in thawed {
        warnings.extend(result?);
    }
    Ok(warnings)
}

async fn thaw(cx: &StepContext, server: &ServerRecord) -> Result<Option<String>, StepFailure> {
    let id = freeze_id(cx, &server.id);
    let why = match cx.datamover().await?.freeze_end(&server.host, id).await {
        Ok(FreezeOutcome::Thawed { in_time: false }) => {
            "was thawed by its deadline before all disks were snapshot"
        }
        Ok(_) => return Ok(None),
        Err(error) if error.refusal() == Some(agent_contract::RefusalKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => {
            warn!(server_id = %server.id, cause = %ErrorChain(&error), "guest thaws by its deadline");
            "could not be thawed by us and thaws by its deadline"
        }
    };
    Ok(Some(format!(
        "Server {} ({}) {why}: its disks may not agree",
        server.name, server.id
    )))
}
