//! One Backstay with its cloud, for one test.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_target::DirectoryTarget;
use services_db::{Datastore, NewRestore, NewSnapshot, NewTrust, NewWorkload, Restore, Snapshot};
use services_engine::{Effect, EngineSettings, Fault, Services};
use services_keystone::Keystone;
use services_openstack::fake::{Account, FakeCloud};
use services_types::{
    FlowId, FlowKind, RestoreId, RestoreKind, RestoreOptions, SERIAL, ServerId, SnapshotId,
    WorkloadId,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connections::TestConnections;
use crate::{LocalDatamover, Tenant};

const LIMIT: Duration = Duration::from_secs(60);

/// What a test wants of its site.
#[derive(Clone, Debug, Default)]
pub struct SiteOptions {
    /// Faults in the engine's flows.
    pub faults: Vec<Fault>,
    /// How fast disks are moved; `None` for as fast as it goes.
    pub rate_limit_bytes_per_second: Option<u64>,
}

impl SiteOptions {
    /// One step of one kind of flow fails.
    pub fn failing(flow: FlowKind, step: &str) -> Self {
        Self::with(flow, step, Effect::Fail)
    }

    /// One step of one kind of flow is run twice.
    pub fn repeating(flow: FlowKind, step: &str) -> Self {
        Self::with(flow, step, Effect::Repeat)
    }

    fn with(flow: FlowKind, step: &str, effect: Effect) -> Self {
        Self {
            faults: vec![Fault {
                flow,
                step: step.to_owned(),
                effect,
            }],
            ..Self::default()
        }
    }
}

/// A cloud, a database, a target, a datamover; and an engine when one was started.
pub struct Site {
    /// The cloud.
    pub cloud: FakeCloud,
    /// The database.
    pub db: Datastore,
    /// Project `demo`.
    pub tenant: Tenant,
    /// The target's folder.
    pub target: PathBuf,
    /// The only datamover.
    pub datamover: Arc<LocalDatamover>,
    engines: Vec<(CancellationToken, JoinHandle<()>)>,
    _folder: TempDir,
}

impl Site {
    /// Everything but an engine.
    pub async fn without_engine(options: &SiteOptions) -> Self {
        let folder = TempDir::with_prefix("backstay-flows-").unwrap();
        let target = folder.path().join("target");
        std::fs::create_dir(&target).unwrap();
        DirectoryTarget::initialise(&target).unwrap();
        let cloud = FakeCloud::start().unwrap();
        let db = Datastore::connect(&format!(
            "sqlite:///{}/backstay.db",
            folder.path().display()
        ))
        .await
        .unwrap();
        db.migrate().await.unwrap();
        let tenant = Tenant::log_in(cloud.settings(Account::Tenant).unwrap()).await;
        let service = Keystone::new(cloud.settings(Account::Service).unwrap()).unwrap();
        let trustee = service.service_session().identity().await.unwrap().user_id;
        let trust = NewTrust {
            name: "trust-test".to_owned(),
            trust_id: tenant.trust(&trustee).await,
            user_id: tenant.user_id.clone(),
            project_id: tenant.project_id.clone(),
            description: String::new(),
            roles: "member,creator".to_owned(),
        };
        db.trust_store(trust).await.unwrap();
        let datamover = LocalDatamover::start(
            folder.path(),
            &target,
            &cloud.folder(),
            options.rate_limit_bytes_per_second,
        );
        Self {
            cloud,
            db,
            tenant,
            target,
            datamover,
            engines: Vec::new(),
            _folder: folder,
        }
    }

    /// Everything, with one engine.
    pub async fn start(options: SiteOptions) -> Self {
        let mut site = Self::without_engine(&options).await;
        site.add_engine(options);
        site
    }

    /// One more engine.
    pub fn add_engine(&mut self, options: SiteOptions) {
        let services = self.services(&format!("engine-{}", self.engines.len()), options);
        let stop = CancellationToken::new();
        let engine = tokio::spawn(services_engine::run(services, stop.clone()));
        self.engines.push((stop, engine));
    }

    fn services(&self, holder: &str, options: SiteOptions) -> Arc<Services> {
        Arc::new(Services {
            settings: EngineSettings {
                holder: holder.to_owned(),
                name: holder.to_owned(),
                workers: 4,
                lease: Duration::from_secs(20),
                freeze_deadline: Duration::from_secs(30),
                transfers_per_flow: 2,
                transfer_silence: Duration::from_secs(30),
                cloud_patience: Duration::from_secs(30),
                target_id: LocalDatamover::TARGET.to_owned(),
                volume_snapshot_name_template: "snapshot-%s".to_owned(),
            },
            db: self.db.clone(),
            target: Arc::new(DirectoryTarget::new(&self.target)),
            connections: Arc::new(TestConnections {
                keystone: self.cloud.settings(Account::Service).unwrap(),
                datamover: self.datamover.clone(),
            }),
            faults: options.faults,
        })
    }

    /// Stops every engine and waits until it has let go of its flows.
    pub async fn stop_engines(&mut self) {
        for (stop, engine) in self.engines.drain(..) {
            stop.cancel();
            engine.await.unwrap();
        }
    }

    /// A workload of these servers, ready.
    pub async fn workload(&self, servers: &[ServerId]) -> WorkloadId {
        let members = servers
            .iter()
            .map(|id| services_db::Member {
                server_id: id.clone(),
                name: id.to_string(),
            })
            .collect();
        let id = WorkloadId::random();
        let new = NewWorkload {
            id,
            user_id: self.tenant.user_id.clone(),
            project_id: self.tenant.project_id.clone(),
            name: "workload".to_owned(),
            description: String::new(),
            workload_type_id: SERIAL.parse().unwrap(),
            source_platform: Some("openstack".to_owned()),
            schedule: serde_json::json!({}),
            metadata: std::collections::BTreeMap::new(),
            availability_zone: None,
            members,
        };
        self.db.workload_create(new).await.unwrap();
        self.db.workload_set_available(id).await.unwrap();
        id
    }

    /// Asks for a snapshot; does not wait.
    pub async fn request_snapshot(&self, workload_id: WorkloadId, is_full: bool) -> SnapshotId {
        let new = NewSnapshot {
            id: SnapshotId::random(),
            workload_id,
            user_id: self.tenant.user_id.clone(),
            project_id: self.tenant.project_id.clone(),
            name: "snapshot".to_owned(),
            description: String::new(),
            is_full,
            due_at: None,
            target_id: None,
        };
        self.db
            .snapshot_request(new, FlowId::random())
            .await
            .unwrap()
            .id
    }

    /// Takes a snapshot and waits for its end, good or not.
    pub async fn snapshot(&self, workload_id: WorkloadId, is_full: bool) -> Snapshot {
        let id = self.request_snapshot(workload_id, is_full).await;
        self.settled_snapshot(id).await
    }

    /// Waits for the end of a snapshot and of its flow.
    pub async fn settled_snapshot(&self, id: SnapshotId) -> Snapshot {
        wait_until("the snapshot to settle", || async {
            self.db
                .snapshot_fetch(id)
                .await
                .unwrap()
                .status
                .is_settled()
        })
        .await;
        self.db.snapshot_fetch(id).await.unwrap()
    }

    /// One-click restore of a snapshot; waits for its end, good or not.
    pub async fn restore(&self, snapshot: &Snapshot) -> Restore {
        let new = NewRestore {
            id: RestoreId::random(),
            snapshot_id: snapshot.id,
            user_id: self.tenant.user_id.clone(),
            project_id: self.tenant.project_id.clone(),
            name: "restore".to_owned(),
            description: String::new(),
            options: RestoreOptions {
                kind: RestoreKind::OneClick,
            },
        };
        let id = self
            .db
            .restore_request(new, FlowId::random())
            .await
            .unwrap()
            .id;
        wait_until("the restore to settle", || async {
            self.db.restore_fetch(id).await.unwrap().status.is_settled()
        })
        .await;
        self.db.restore_fetch(id).await.unwrap()
    }

    /// Deletes a snapshot and waits for its end, good or not.
    pub async fn delete_snapshot(&self, snapshot: &Snapshot) {
        let flow_id = FlowId::random();
        self.db
            .snapshot_delete_request(snapshot.id, flow_id)
            .await
            .unwrap();
        self.ended(flow_id).await;
    }

    /// Waits until a flow has ended.
    pub async fn ended(&self, flow_id: FlowId) -> services_db::Flow {
        wait_until("the flow to end", || async {
            let flow = self.db.flow_fetch(flow_id).await.unwrap();
            flow.status != services_types::FlowStatus::Running
        })
        .await;
        self.db.flow_fetch(flow_id).await.unwrap()
    }

    /// Everything that lies on the target, by name.
    pub fn objects(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.target, &mut names);
        names.sort();
        names
    }
}

fn collect(folder: &PathBuf, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else {
            names.push(path.display().to_string());
        }
    }
}

/// Asks until the answer is yes, for as long as a loaded machine may take.
pub async fn wait_until<F, A>(what: &str, is_so: F)
where
    F: Fn() -> A,
    A: Future<Output = bool>,
{
    let limit = Instant::now() + LIMIT;
    while !is_so().await {
        assert!(Instant::now() < limit, "gave up waiting for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
