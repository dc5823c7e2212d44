//! How the runner takes what a step does: failing, breaking off, not knowing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_contract::{DatamoverClient, ImageCompression};
use agent_target::DirectoryTarget;
use async_trait::async_trait;
use services_db::{Datastore, Error as DbError};
use services_openstack::{Cloud, CloudError};
use services_types::{FlowClaim, FlowId, FlowKind, FlowRequest, TrustId, WorkloadId};
use steno::{InMemorySecStore, SagaResult};
use tokio::time::Instant;

use super::{Lease, Step, StepContext, StepFailure, Steps};
use crate::{Connections, EngineSettings, FlowContext, Services, Targets};

/// Owns an undo that fails a few times before it succeeds.
#[derive(Debug)]
struct Undone {
    failures: u32,
    undos: Arc<AtomicU32>,
}

#[async_trait]
impl Step for Undone {
    const NAME: &'static str = "undone";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        if self.undos.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err(StepFailure::new("the cloud does not answer"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Bad(fn() -> StepFailure);

#[async_trait]
impl Step for Bad {
    const NAME: &'static str = "bad";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Err(self.0())
    }
}

struct NoConnections;

#[async_trait]
impl Connections for NoConnections {
    async fn tenant(&self, _: &TrustId) -> Result<Arc<dyn Cloud>, CloudError> {
        std::future::pending().await
    }

    async fn service(&self) -> Result<Arc<dyn Cloud>, CloudError> {
        std::future::pending().await
    }

    async fn datamover(&self) -> Result<Arc<dyn DatamoverClient>, CloudError> {
        std::future::pending().await
    }
}

async fn context() -> Arc<FlowContext> {
    let second = Duration::from_secs(1);
    let services = Services {
        settings: EngineSettings {
            holder: "e:1".to_owned(),
            name: "e".to_owned(),
            workers: 1,
            lease: 3600 * second,
            freeze_deadline: second,
            transfers_per_flow: 1,
            transfer_silence: second,
            cloud_patience: 600 * second,
            copy_patience: 600 * second,
            copied_drivers: Vec::new(),
            compression: ImageCompression::Zstd,
            volume_snapshot_name_template: "%s".to_owned(),
        },
        db: Datastore::connect("sqlite::memory:").await.unwrap(),
        targets: Targets::new("t", Arc::new(DirectoryTarget::new("/nowhere"))),
        connections: Arc::new(NoConnections),
        faults: Vec::new(),
    };
    let claim = FlowClaim {
        flow_id: FlowId::random(),
        epoch: 1,
        request: FlowRequest::WorkloadDelete {
            workload_id: WorkloadId::random(),
        },
        project_id: "p".parse().unwrap(),
    };
    let lease = Lease::new(Instant::now(), services.settings.lease);
    Arc::new(FlowContext::new(Arc::new(services), claim, Arc::new(lease)))
}

/// What becomes of a flow whose second step goes wrong; none if it neither ends nor is undone.
async fn ending(failures: u32, bad: fn() -> StepFailure) -> (Option<SagaResult>, u32) {
    let undos = Arc::new(AtomicU32::new(0));
    let undone = Undone {
        failures,
        undos: undos.clone(),
    };
    let steps = Steps::of(FlowKind::WorkloadDelete).then(undone);
    let (dag, registry) = steps.then(Bad(bad)).build().unwrap();
    let context = context().await;
    let id = context.claim().flow_id.to_string().parse().unwrap();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let sec = steno::sec(log, Arc::new(InMemorySecStore::new()));
    let result = sec.saga_create(id, context, dag, registry).await.unwrap();
    sec.saga_start(id).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(1800), result).await;
    (ended.ok(), undos.load(Ordering::SeqCst))
}

fn panicking() -> StepFailure {
    panic!("a fault of ours")
}

fn unanswered() -> StepFailure {
    let source = "Lost connection to server during query".into();
    let doing = "publish a snapshot";
    DbError::Unavailable { doing, source }.into()
}

#[tokio::test(start_paused = true)]
async fn a_step_that_panics_is_a_step_that_failed() {
    let (ended, undos) = ending(0, panicking).await;
    let failed = ended.unwrap().kind.unwrap_err();
    assert_eq!(failed.error_node_name.as_ref(), "bad");
    assert!(failed.undo_failure.is_none());
    assert_eq!(undos, 1);
}

/// The write may have happened: to undo a snapshot that was published would take its images away.
#[tokio::test(start_paused = true)]
async fn a_step_that_the_database_did_not_answer_is_not_undone() {
    let (ended, undos) = ending(0, unanswered).await;
    assert!(ended.is_none());
    assert_eq!(undos, 0);
}

#[tokio::test(start_paused = true)]
async fn an_undo_outlasts_a_cloud_that_is_away_for_a_while() {
    let (ended, undos) = ending(3, || StepFailure::new("no")).await;
    assert!(ended.unwrap().kind.unwrap_err().undo_failure.is_none());
    assert_eq!(undos, 4);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_never_succeeds_is_given_up() {
    let (ended, _) = ending(u32::MAX, || StepFailure::new("no")).await;
    assert!(ended.unwrap().kind.unwrap_err().undo_failure.is_some());
}
