//! One Backstay with its cloud, for one test.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_contract::ImageCompression;
use agent_target::DirectoryTarget;
use services_db::Datastore;
use services_engine::{Effect, EngineSettings, Fault, Services, Targets};
use services_openstack::fake::{Account, FakeCloud};
use services_types::FlowKind;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connections::TestConnections;
use crate::objects::objects_below;
use crate::{Api, LocalDatamover};

/// What a test wants of its site.
#[derive(Clone, Debug, Default)]
pub struct SiteOptions {
    /// Faults in the engine's flows.
    pub faults: Vec<Fault>,
    /// How fast disks are moved; `None` for as fast as it goes.
    pub rate_limit_bytes_per_second: Option<u64>,
    /// Backups may go to a second target too.
    pub has_second_target: bool,
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
    /// What is asked for, by project `demo`.
    pub api: Api,
    /// The target's folder.
    pub target: PathBuf,
    /// The second target's, if it was wanted.
    pub second_target: Option<PathBuf>,
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
        let second_target = options
            .has_second_target
            .then(|| folder.path().join("second"));
        let mut targets = vec![(LocalDatamover::TARGET, target.as_path())];
        if let Some(second) = &second_target {
            std::fs::create_dir(second).unwrap();
            DirectoryTarget::initialise(second).unwrap();
            targets.push((LocalDatamover::SECOND_TARGET, second));
        }
        let cloud = FakeCloud::start().unwrap();
        let db = Datastore::connect(&format!(
            "sqlite:///{}/backstay.db",
            folder.path().display()
        ))
        .await
        .unwrap();
        db.migrate().await.unwrap();
        let api = Api::new(db, &cloud).await;
        let datamover = LocalDatamover::start(
            folder.path(),
            &targets,
            &cloud.folder(),
            options.rate_limit_bytes_per_second,
        );
        Self {
            cloud,
            api,
            target,
            second_target,
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
                copy_patience: Duration::from_secs(30),
                copied_drivers: Vec::new(),
                compression: ImageCompression::Zstd,
                volume_snapshot_name_template: "snapshot-%s".to_owned(),
            },
            db: self.db.clone(),
            targets: self.targets(),
            connections: Arc::new(TestConnections {
                keystone: self.cloud.settings(Account::Service).unwrap(),
                datamover: self.datamover.clone(),
            }),
            faults: options.faults,
        })
    }

    fn targets(&self) -> Targets {
        let main = Arc::new(DirectoryTarget::new(&self.target));
        let targets = Targets::new(LocalDatamover::TARGET, main);
        match &self.second_target {
            Some(second) => targets.and(
                LocalDatamover::SECOND_TARGET,
                Arc::new(DirectoryTarget::new(second)),
            ),
            None => targets,
        }
    }

    /// Stops every engine and waits until it has let go of its flows.
    pub async fn stop_engines(&mut self) {
        for (stop, engine) in self.engines.drain(..) {
            stop.cancel();
            engine.await.unwrap();
        }
    }

    /// Everything that lies on the target, by name.
    pub fn objects(&self) -> Vec<String> {
        objects_below(&self.target)
    }
}

impl Deref for Site {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}
