//! `backstay-datamover`: runs in the foreground, logs to standard error, ends on SIGTERM.

use std::path::PathBuf;

use agent_datamover::{Settings, serve};
use anyhow::Context;
use clap::Parser;
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};

/// Moves disks of this host to and from backup targets.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// INI file; may be given several times, a later one over an earlier.
    #[arg(long, default_value = "/etc/backstay/datamover.conf")]
    config_file: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load(&arguments.config_file).context("cannot start")?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    let settings = Settings::from_config(&config).context("cannot start")?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/datamover.conf"));
    // Two libraries bring one each; neither may be picked by chance.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was chosen before");
    }
    let stop = shutdown::on_signal().context("cannot listen for signals")?;
    let result = serve(settings, stop).await;
    // A call that hangs in a dead mount must not keep the program from ending.
    if let Err(error) = &result {
        tracing::error!("{error:#}");
    }
    std::process::exit(i32::from(result.is_err()));
}
