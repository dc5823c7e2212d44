//! `backstay-scheduler`: asks for the snapshots that schedules want.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use secrecy::ExposeSecret;
use services_db::Datastore;
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};
use services_scheduler::lead;
use services_scheduler::settings::Settings;

/// Asks for the snapshots that schedules want.
#[derive(Parser)]
#[command(name = "backstay-scheduler", version)]
struct Arguments {
    /// Configuration file; may be given several times, a later one over an earlier.
    #[arg(long, default_value = "/etc/backstay/appliance.conf")]
    config_file: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load(&arguments.config_file)?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    let settings = Settings::read(&config)?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/appliance.conf"));
    let stop = shutdown::on_signal().context("watch for signals")?;
    let datastore = Datastore::connect(settings.database.expose_secret()).await?;
    datastore.migrate().await?;
    tracing::info!(holder = settings.holder, "The scheduler has started");
    lead(&datastore, &settings, &stop).await;
    tracing::info!("The scheduler has stopped");
    Ok(())
}
