//! `backstay-api`: serves the REST API.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use services_api::settings::Settings;
use services_api::{ROUTES, Shared, listen, openapi};
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};

/// Serves Backstay's REST API.
#[derive(Parser)]
#[command(name = "backstay-api", version)]
struct Arguments {
    /// Configuration file; may be given several times, a later one over an earlier.
    #[arg(long, default_value = "/etc/backstay/appliance.conf")]
    config_file: Vec<PathBuf>,
    /// Print the table of endpoints as JSON and end.
    #[arg(long)]
    print_routes: bool,
    /// Print the OpenAPI document and end.
    #[arg(long)]
    print_openapi: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.print_routes {
        return print(&serde_json::to_string_pretty(ROUTES)?);
    }
    if arguments.print_openapi {
        return print(&openapi::document()?);
    }
    let config = Config::load(&arguments.config_file)?;
    telemetry::init(&config.get_or("DEFAULT", "log_level", String::new())?)?;
    let settings = Settings::read(&config)?;
    config.warn_about_unknown(include_str!("../../../packaging/etc/appliance.conf"));
    // Two libraries bring one each; neither may be picked by chance.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("A TLS provider was chosen before");
    }
    serve(settings).await
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("write to standard output")
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("watch for signals")?;
    let shared = Shared::open(&settings).await?;
    let (server, addresses) = listen(&shared, &settings)?;
    for address in addresses {
        tracing::info!(%address, "The API listens");
    }
    let handle = server.handle();
    let stopping = tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await.context("serve")?;
    stopping.abort();
    tracing::info!("The API has stopped");
    Ok(())
}
