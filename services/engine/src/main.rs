//! `backstay-engine`: runs flows until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use agent_target::Target;
use agent_target_s3::TargetSettings;
use anyhow::{Context, bail};
use clap::Parser;
use secrecy::ExposeSecret;
use services_db::Datastore;
use services_engine::{EngineSettings, KeystoneConnections, Services, Targets};
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};
use services_keystone::KeystoneSettings;
use tracing::{error, info};

/// Runs snapshots, restores and deletions, and takes over those of engines that died.
#[derive(Parser)]
#[command(name = "backstay-engine", version)]
struct Arguments {
    /// Configuration file; given more than once, a later one wins.
    #[arg(long = "config-file", default_value = "/etc/backstay/appliance.conf")]
    config_files: Vec<PathBuf>,
    /// Mark the configured targets as Backstay's, and end. Needed once for each target: a folder
    /// without the mark, such as a mount point with nothing mounted, is never written to.
    #[arg(long)]
    initialise_target: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.initialise_target {
        initialise_target(&arguments.config_files)
    } else {
        start(&arguments.config_files)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            report(&cause);
            ExitCode::FAILURE
        }
    }
}

/// Also where logging could not be set up.
fn report(cause: &anyhow::Error) {
    let line = format!("backstay-engine: {cause:#}\n");
    if std::io::stderr().write_all(line.as_bytes()).is_err() {
        error!(cause = format!("{cause:#}"), "backstay-engine cannot run");
    }
}

fn initialise_target(files: &[PathBuf]) -> anyhow::Result<()> {
    let config = Config::load(files)?;
    let further = config.sections_named("target:");
    let further = further.iter().map(|id| format!("target:{id}"));
    for section in std::iter::once("target".to_owned()).chain(further) {
        TargetSettings::from_config(&config, &section)?.initialise()?;
    }
    Ok(())
}

#[tokio::main]
async fn start(files: &[PathBuf]) -> anyhow::Result<()> {
    let config = Config::load(files)?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        bail!("another TLS provider is installed already");
    }
    let services = services(&config).await?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/appliance.conf"));
    let stop = shutdown::on_signal()?;
    info!(holder = services.settings.holder, "engine is up");
    services_engine::run(Arc::new(services), stop).await;
    info!("engine has let go of all flows");
    Ok(())
}

async fn services(config: &Config) -> anyhow::Result<Services> {
    let settings = EngineSettings::from_config(config)?;
    let url = config.require_secret("database", "connection")?;
    let db = Datastore::connect(url.expose_secret())
        .await
        .context("opening the database")?;
    db.migrate()
        .await
        .context("bringing the database to this version")?;
    Ok(Services {
        db,
        targets: targets(config)?,
        connections: Arc::new(KeystoneConnections::new(KeystoneSettings::from_config(
            config,
        )?)),
        faults: Vec::new(),
        settings,
    })
}

/// `[target]` with its id, and every `[target:ID]` beside it.
fn targets(config: &Config) -> anyhow::Result<Targets> {
    let id: String = config.require("target", "id")?;
    let mut targets = Targets::new(id, target(config, "target")?);
    for id in config.sections_named("target:") {
        let target = target(config, &format!("target:{id}"))?;
        targets = targets.and(id, target);
    }
    Ok(targets)
}

fn target(config: &Config, section: &str) -> anyhow::Result<Arc<dyn Target>> {
    Ok(TargetSettings::from_config(config, section)?.open()?)
}
