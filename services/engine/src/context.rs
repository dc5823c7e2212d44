//! What the steps of a flow work with.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_contract::DatamoverClient;
use agent_target::Target;
use async_trait::async_trait;
use services_db::Datastore;
use services_openstack::{Cloud, CloudError};
use services_types::{FlowClaim, FlowRequest, TrustId};
use tokio::sync::OnceCell;

use crate::runner::{Fault, Lease, StepFailure};
use crate::settings::EngineSettings;
use crate::targets::Targets;

/// Ways out of the engine. Each flow makes its own connections, in its own runtime.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The cloud as the owner of the workload, by a trust.
    async fn tenant(&self, trust_id: &TrustId) -> Result<Arc<dyn Cloud>, CloudError>;
    /// The cloud as Backstay's service user, for what OpenStack shows to administrators only.
    async fn service(&self) -> Result<Arc<dyn Cloud>, CloudError>;
    /// The datamover API.
    async fn datamover(&self) -> Result<Arc<dyn DatamoverClient>, CloudError>;
}

/// What all flows of an engine share.
pub struct Services {
    /// What the operator set.
    pub settings: EngineSettings,
    /// The database.
    pub db: Datastore,
    /// Where the engine writes the JSON of backups.
    pub targets: Targets,
    /// Ways to the cloud and to the datamovers.
    pub connections: Arc<dyn Connections>,
    /// Faults that a test wants; empty in service.
    pub faults: Vec<Fault>,
}

/// What the steps of one flow work with.
pub struct FlowContext {
    services: Arc<Services>,
    claim: FlowClaim,
    lease: Arc<Lease>,
    tenant: OnceCell<Arc<dyn Cloud>>,
    service: OnceCell<Arc<dyn Cloud>>,
    datamover: OnceCell<Arc<dyn DatamoverClient>>,
    target_id: Mutex<String>,
    left_behind: Mutex<Vec<String>>,
}

impl fmt::Debug for FlowContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowContext of {}", self.claim.flow_id)
    }
}

impl FlowContext {
    pub(crate) fn new(services: Arc<Services>, claim: FlowClaim, lease: Arc<Lease>) -> Self {
        let target_id = services.targets.default_id().to_owned();
        Self {
            target_id: Mutex::new(target_id),
            services,
            claim,
            lease,
            tenant: OnceCell::new(),
            service: OnceCell::new(),
            datamover: OnceCell::new(),
            left_behind: Mutex::default(),
        }
    }

    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.services.settings
    }

    pub(crate) fn db(&self) -> &Datastore {
        &self.services.db
    }

    /// The target that the flow works with: that of its snapshot.
    pub(crate) fn target(&self) -> Result<Arc<dyn Target>, StepFailure> {
        let id = self.target_id();
        let target = self.services.targets.get(&id).cloned();
        target.ok_or_else(|| {
            StepFailure::new(format!(
                "Backup target {id}, where the backup lies, is not in the engine's configuration"
            ))
        })
    }

    /// The target's id, as datamovers know it.
    pub(crate) fn target_id(&self) -> String {
        let id = self.target_id.lock();
        id.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on the flow works with this target. All images of a chain are on one.
    pub(crate) fn use_target(&self, id: &str) {
        let mut current = self
            .target_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        id.clone_into(&mut current);
    }

    /// Works with the target that the flow's snapshot is on, as far as that is known.
    pub(crate) async fn use_own_target(&self) -> Result<(), StepFailure> {
        let snapshot_id = match self.claim.request {
            FlowRequest::SnapshotCreate { snapshot_id, .. }
            | FlowRequest::RestoreCreate { snapshot_id, .. }
            | FlowRequest::SnapshotDelete { snapshot_id, .. }
            | FlowRequest::SnapshotVerify { snapshot_id, .. } => snapshot_id,
            FlowRequest::WorkloadDelete { .. } => return Ok(()),
        };
        match self.db().snapshot_fetch(snapshot_id).await {
            Ok(snapshot) => self.use_target_of(snapshot.target_id.as_deref()),
            // The flow has deleted it already, and comes to its end.
            Err(services_db::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Works with the target that a row names; those of the first release may name none.
    pub(crate) fn use_target_of(&self, row: Option<&str>) {
        self.use_target(row.unwrap_or(self.services.targets.default_id()));
    }

    pub(crate) fn claim(&self) -> &FlowClaim {
        &self.claim
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn shared_lease(&self) -> Arc<Lease> {
        self.lease.clone()
    }

    /// The cloud as the workload's owner. Never returns once the lease is lost.
    pub(crate) async fn tenant(&self) -> Result<&dyn Cloud, StepFailure> {
        self.lease.hold().await;
        let connect = async {
            let trust_id = self.trust().await?;
            Ok::<_, StepFailure>(self.services.connections.tenant(&trust_id).await?)
        };
        Ok(self.tenant.get_or_try_init(|| connect).await?.as_ref())
    }

    async fn trust(&self) -> Result<TrustId, StepFailure> {
        let workload = self
            .db()
            .workload_fetch(self.claim.request.workload_id())
            .await?;
        let trust = self
            .db()
            .trust_fetch(&workload.user_id, &workload.project_id)
            .await?;
        trust.map(|trust| trust.trust_id).ok_or_else(|| {
            StepFailure::new(format!(
                "There is no trust of the workload's owner (user {}): the owner must log in and give one (trust-create), or an administrator must reassign the workload",
                workload.user_id
            ))
        })
    }

    /// The cloud as Backstay's service user. Never returns once the lease is lost.
    pub(crate) async fn service(&self) -> Result<&dyn Cloud, StepFailure> {
        self.lease.hold().await;
        let connect = async { self.services.connections.service().await };
        Ok(self.service.get_or_try_init(|| connect).await?.as_ref())
    }

    /// The datamover API. Never returns once the lease is lost.
    pub(crate) async fn datamover(&self) -> Result<&dyn DatamoverClient, StepFailure> {
        self.lease.hold().await;
        let connect = async { self.services.connections.datamover().await };
        Ok(self.datamover.get_or_try_init(|| connect).await?.as_ref())
    }

    /// Notes what an undo could not take back and what must not keep the undos after it from running:
    /// an undo that fails ends the unwinding, and what other steps made would stay as well.
    pub(crate) fn leave_behind(&self, what: String) {
        self.noted().push(what);
    }

    /// All that was noted; `None` if nothing was.
    pub(crate) fn left_behind(&self) -> Option<String> {
        let noted = self.noted();
        (!noted.is_empty()).then(|| noted.join("; "))
    }

    fn noted(&self) -> MutexGuard<'_, Vec<String>> {
        self.left_behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when the owner has asked for the flow to stop.
    pub(crate) async fn stop_if_cancelled(&self) -> Result<(), StepFailure> {
        if self
            .db()
            .flow_is_cancel_requested(self.claim.flow_id)
            .await?
        {
            return Err(StepFailure::cancelled());
        }
        Ok(())
    }
}
