//! The whole: what a test starts, kills, and starts again.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_contract::{DatamoverClient, TransferId, TransferStatus};
use agent_target::DirectoryTarget;
use services_db::Datastore;
use services_engine::{Connections, KeystoneConnections};
use services_openstack::fake::{Account, FakeCloud};
use services_types::{FlowId, VolumeId};
use tempfile::TempDir;
use tests_s3_server::{Habits, Server};
use tests_support::MariaDb;
use uuid::Uuid;

use super::bus::Bus;
use super::configuration::Configuration;
use super::unprivileged::{give, uid};
use super::{Daemon, Guest, MountedTarget};
use crate::objects::objects_below;
use crate::{Api, wait_until};

const CONNECTED: &str = "connected to the message bus";

/// Which database the engines have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    #[default]
    Sqlite,
    /// The test run's MariaDB.
    MariaDb,
}

/// What a test wants of its deployment.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeploymentOptions {
    /// How fast disks are moved; `None` for as fast as it goes.
    pub rate_limit_bytes_per_second: Option<u64>,
    /// Which database the engines have.
    pub database: DatabaseKind,
    /// A RabbitMQ of the test's own, which it may kill.
    pub has_own_broker: bool,
    /// The target is a bucket.
    pub has_bucket: bool,
    /// How long a transfer may show no progress; `None` for longer than a broker takes to start.
    pub transfer_silence: Option<Duration>,
}

/// A cloud, and every process of a small site that protects it.
pub struct Deployment {
    /// The engine that runs from the beginning.
    pub engine: Daemon,
    /// Another engine on the same database; not started.
    pub second_engine: Daemon,
    /// What the engines ask.
    pub datamover_api: Daemon,
    /// The datamover of the only compute host.
    pub datamover: Daemon,
    /// The guests' agents.
    pub guest: Guest,
    /// The cloud.
    pub cloud: FakeCloud,
    /// What is asked for, by project `demo`.
    pub api: Api,
    /// The target's folder; of a bucket, with what was downloaded last.
    pub target: PathBuf,
    /// The bucket's server, if the target is one.
    pub bucket: Option<Server>,
    configuration: Configuration,
    bus: Bus,
    _folder: TempDir,
}

impl Deployment {
    /// Starts everything but the second engine, and waits until it is up.
    pub async fn start(options: DeploymentOptions) -> Self {
        let folder = TempDir::with_prefix("backstay-survival-").unwrap();
        give(folder.path());
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        let bucket = options.has_bucket.then(|| Server::start(Habits::default()));
        if bucket.is_none() {
            DirectoryTarget::initialise(&target).unwrap();
            objects_below(&target)
                .iter()
                .for_each(|path| give(path.as_ref()));
            give(&target);
        }
        let guest = Guest::new(folder.path());
        let bus = Bus::start(options.has_own_broker);
        let cloud = FakeCloud::start().unwrap();
        let configuration = Configuration {
            volumes: cloud.folder(),
            auth_url: cloud.auth_url().to_owned(),
            database: database(options.database, &folder),
            transport_url: bus.transport_url(),
            exchange: format!("backstay-{}", Uuid::new_v4()),
            host: format!("compute-{}", Uuid::new_v4()),
            api_port: free_port(),
            transfer_silence: options.transfer_silence.unwrap_or(Duration::from_secs(40)),
            target: match &bucket {
                Some(bucket) => bucket.section(),
                None => format!("path = {}\n", target.display()),
            },
            folder: folder.path().to_owned(),
        };
        if let Some(uid) = uid() {
            cloud.give_disks_to(uid).unwrap();
        }
        cloud.set_host_name(&configuration.host);
        let endpoint = format!("http://127.0.0.1:{}/v2", configuration.api_port);
        cloud.set_endpoint("datamover", &endpoint);
        let db = Datastore::connect(&configuration.database).await.unwrap();
        db.migrate().await.unwrap();
        let daemon = |name, program, config: String| {
            Daemon::new(&configuration.folder, name, program, &config)
        };
        let rate = options.rate_limit_bytes_per_second.unwrap_or_default();
        let api_config = configuration.datamover_api();
        let mut site = Self {
            engine: daemon("engine-a", "backstay-engine", configuration.engine("a")),
            second_engine: daemon("engine-b", "backstay-engine", configuration.engine("b")),
            datamover_api: daemon("datamover-api", "backstay-datamover-api", api_config),
            datamover: daemon(
                "datamover",
                "backstay-datamover",
                configuration.datamover(rate),
            ),
            guest,
            api: Api::new(db, &cloud).await,
            cloud,
            target,
            bucket,
            configuration,
            bus,
            _folder: folder,
        };
        site.datamover_api.start();
        site.datamover.start();
        site.engine.start();
        site.datamover_api.says(CONNECTED, 1).await;
        site.datamover_api.says("listening", 1).await;
        site.datamover.says(CONNECTED, 1).await;
        site.engine.says("engine is up", 1).await;
        site
    }

    /// Starts the datamover again with another limit; gives it time to be heard of.
    pub async fn limit_rate(&mut self, bytes_per_second: u64) {
        self.datamover.kill();
        let config = self.configuration.datamover(bytes_per_second);
        self.datamover.configure(&config);
        let lives = self.datamover.log().matches(CONNECTED).count();
        self.datamover.start();
        self.datamover.says(CONNECTED, lives + 1).await;
    }

    /// Waits until the datamover API has heard of a datamover that can write to the target: what a
    /// restore looks for.
    pub async fn until_target_is_offered(&self) {
        let client = self.datamover_client().await;
        wait_until("the datamover to be heard of", || async {
            let hosts = client.hosts().await.unwrap_or_default();
            hosts
                .iter()
                .any(|host| host.is_alive && host.targets == ["main"])
        })
        .await;
    }

    /// Starts the datamover again, and waits until it has said that it cannot write to the target.
    pub async fn restart_datamover_without_target(&mut self) {
        self.datamover.kill();
        self.datamover.start();
        self.datamover.says("no backups to it", 1).await;
        let client = self.datamover_client().await;
        wait_until("the datamover to offer no target", || async {
            let hosts = client.hosts().await.unwrap_or_default();
            hosts
                .iter()
                .any(|host| host.is_alive && host.targets.is_empty())
        })
        .await;
    }

    /// Puts a small file system over the target's folder, empty but for the target's mark; `None` where
    /// the test may not.
    pub fn mount_target(&self, size: &str) -> Option<MountedTarget> {
        MountedTarget::over(&self.target, size)
    }

    /// Kills the broker and starts it again, with what it holds on disk.
    pub fn restart_broker(&mut self) {
        self.bus.own().kill().unwrap();
        self.bus.own().start_again().unwrap();
    }

    /// The datamover API, asked as the engines do.
    pub async fn datamover_client(&self) -> Arc<dyn DatamoverClient> {
        let settings = self.cloud.settings(Account::Service).unwrap();
        KeystoneConnections::new(settings)
            .datamover()
            .await
            .unwrap()
    }

    /// How the transfer of a volume in a flow stands (`verb` is `backup` or `restore`); `None` while
    /// nobody knows it, or while nobody can be asked.
    pub async fn transfer(
        &self,
        flow: FlowId,
        verb: &str,
        of: &VolumeId,
    ) -> Option<TransferStatus> {
        let name = format!("{verb} {of}");
        let id = TransferId(Uuid::new_v5(flow.as_uuid(), name.as_bytes()));
        let client = self.datamover_client().await;
        let host = &self.configuration.host;
        client.transfer_show(host, id).await.ok()
    }

    /// Everything that lies on the target, as files: downloaded, if it is a bucket.
    pub fn objects(&self) -> Vec<String> {
        if let Some(bucket) = &self.bucket {
            fs::remove_dir_all(&self.target).unwrap();
            fs::create_dir(&self.target).unwrap();
            bucket.download(&self.target);
        }
        objects_below(&self.target)
    }
}

impl Deref for Deployment {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

fn database(kind: DatabaseKind, folder: &TempDir) -> String {
    match kind {
        DatabaseKind::MariaDb => MariaDb::of_this_run().unwrap().database().unwrap(),
        DatabaseKind::Sqlite => {
            // SQLite gives the files that it makes beside this one to the same user.
            let path = folder.path().join("backstay.db");
            File::create(&path).unwrap();
            give(&path);
            format!("sqlite:///{}", path.display())
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
