//! `backstay-api`: serves the REST API.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpServer};
use anyhow::Context;
use clap::Parser;
use secrecy::ExposeSecret;
use services_api::openapi;
use services_api::settings::Settings;
use services_api::{Policy, ROUTES, Shared, answer, configure};
use services_db::Datastore;
use services_foundation::config::Config;
use services_foundation::{shutdown, telemetry};
use services_keystone::{Keystone, LONGEST_TOKEN_AGE, TokenValidator};

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

fn main() -> anyhow::Result<()> {
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
    actix_web::rt::System::new().block_on(serve(settings))
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("write to standard output")
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("watch for signals")?;
    let shared = shared(&settings).await?;
    let server = HttpServer::new(move || {
        App::new()
            .configure(configure(&shared))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(answer))
    })
    .workers(settings.workers.get())
    .disable_signals()
    .bind((settings.listen, settings.port))
    .with_context(|| format!("listen on {}:{}", settings.listen, settings.port))?;
    for address in server.addrs() {
        tracing::info!(%address, "The API listens");
    }
    let server = server.run();
    let handle = server.handle();
    let stopping = actix_web::rt::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await.context("serve")?;
    stopping.abort();
    tracing::info!("The API has stopped");
    Ok(())
}

async fn shared(settings: &Settings) -> anyhow::Result<Shared> {
    let datastore = Datastore::connect(settings.database.expose_secret()).await?;
    datastore.migrate().await?;
    let keystone = Keystone::new(settings.keystone.clone())?;
    Ok(Shared {
        datastore,
        validator: Arc::new(TokenValidator::new(&keystone, LONGEST_TOKEN_AGE)),
        service: keystone.service_session(),
        keystone,
        policy: Arc::new(Policy::load(settings.policy_file.clone())?),
        trustee_roles: settings.trustee_roles.clone().into(),
        target_id: settings.target_id.as_deref().map(Into::into),
        max_body_bytes: settings.max_body_bytes,
    })
}
