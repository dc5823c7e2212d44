//! What the REST API does on behalf of a tenant, without HTTP: writes the rows and the flows that the
//! engine then takes up, and waits for their ends.

use std::future::Future;
use std::time::Duration;

use services_db::{Datastore, NewRestore, NewSnapshot, NewTrust, NewWorkload, Restore, Snapshot};
use services_keystone::Keystone;
use services_openstack::fake::{Account, FakeCloud};
use services_types::{
    FlowId, RestoreId, RestoreKind, RestoreOptions, SERIAL, ServerId, SnapshotId, WorkloadId,
};
use tokio::time::Instant;

use crate::Tenant;

const LIMIT: Duration = Duration::from_secs(60);

/// Asks for things as project `demo`, which has given Backstay a trust.
pub struct Api {
    /// The database.
    pub db: Datastore,
    /// Project `demo`.
    pub tenant: Tenant,
}

impl Api {
    /// Logs the tenant in and keeps a trust of theirs.
    pub(crate) async fn new(db: Datastore, cloud: &FakeCloud) -> Self {
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
        Self { db, tenant }
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
        let id = self.request_restore(snapshot).await;
        self.settled_restore(id).await
    }

    /// Asks for a one-click restore of a snapshot; does not wait.
    pub async fn request_restore(&self, snapshot: &Snapshot) -> RestoreId {
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
        self.db
            .restore_request(new, FlowId::random())
            .await
            .unwrap()
            .id
    }

    /// Waits for the end of a restore.
    pub async fn settled_restore(&self, id: RestoreId) -> Restore {
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
