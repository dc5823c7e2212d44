//! `backstay-datamover-api`: runs in the foreground, logs to standard error, ends on SIGTERM.

use std::path::PathBuf;

use agent_datamover_api::{Settings, serve};
use anyhow::Context;
use clap::Parser;
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};

/// Lets the appliance reach the datamovers: REST in, RabbitMQ out.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// INI file; may be given several times, a later one over an earlier.
    #[arg(long, default_value = "/etc/backstay/datamover-api.conf")]
    config_file: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load(&arguments.config_file).context("cannot start")?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    let settings = Settings::from_config(&config).context("cannot start")?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/datamover-api.conf"));
    // Two libraries bring one each; neither may be picked by chance.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was chosen before");
    }
    let stop = shutdown::on_signal().context("cannot listen for signals")?;
    serve(settings, stop).await
}
