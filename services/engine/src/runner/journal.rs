//! The flow's log, in our database, written only while the claim is good.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use services_db::Datastore;
use services_foundation::error_chain::ErrorChain;
use services_types::FlowClaim;
use steno::{SagaCachedState, SagaCreateParams, SagaId, SagaNodeEvent, SecStore};
use tracing::error;

use super::lease::Lease;

/// steno's store for one claimed flow.
///
/// steno takes it for granted that an event is recorded when `record_event` returns. So a write that
/// fails gives the flow up and never returns; the flow is resumed from the last event that stands.
pub(crate) struct Journal {
    db: Datastore,
    claim: FlowClaim,
    lease: Arc<Lease>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal of flow {}", self.claim.flow_id)
    }
}

impl Journal {
    pub(crate) fn new(db: Datastore, claim: FlowClaim, lease: Arc<Lease>) -> Self {
        Self { db, claim, lease }
    }

    async fn give_up(&self, doing: &str, cause: &(dyn std::error::Error + Send + Sync + 'static)) {
        error!(flow_id = %self.claim.flow_id, cause = %ErrorChain(cause),
            "gave a flow up while trying to {doing}; it will be resumed");
        self.lease.lose();
        self.lease.hold().await;
    }
}

#[async_trait]
impl SecStore for Journal {
    async fn saga_create(&self, params: SagaCreateParams) -> Result<(), anyhow::Error> {
        Ok(self.db.flow_save_dag(&self.claim, &params.dag).await?)
    }

    async fn record_event(&self, event: SagaNodeEvent) {
        self.lease.hold().await;
        let event = match serde_json::to_value(&event) {
            Ok(event) => event,
            Err(error) => return self.give_up("write an event down", &error).await,
        };
        if let Err(error) = self.db.flow_event_append(&self.claim, &event).await {
            self.give_up("record an event", &error).await;
        }
    }

    async fn saga_update(&self, _id: SagaId, _update: SagaCachedState) {
        // The runner records the end itself, after the flow has settled its rows.
    }
}
