use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, HttpServer};
use agent_contract::amqp::BusClient;
use agent_contract::{Refusal, RefusalKind};
use anyhow::Context;
use services_keystone::{Caller, Keystone, TokenValidator};
use tokio_util::sync::CancellationToken;
use tracing_actix_web::{RequestId, TracingLogger};

use crate::refused::Refused;
use crate::routes::{connection, freeze, health, host, point, server, transfer, version};
use crate::{Hosts, OverBus, Settings};

/// A transfer request with a chain of a thousand images has some 200 KiB.
const BODY_LIMIT_BYTES: usize = 1 << 20;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// What every worker of the server shares.
#[derive(Clone)]
pub struct Application {
    /// Who is asked.
    pub hosts: Arc<dyn Hosts>,
    /// Who says whether a token is good.
    pub validator: Arc<TokenValidator>,
    /// The role that callers need.
    pub service_role: String,
}

struct ServiceRole(String);

/// Listens until `stop`.
pub async fn serve(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let keystone = Keystone::new(settings.keystone).context("cannot talk to Keystone")?;
    let bus = BusClient::start(settings.bus, "backstay-datamover-api", stop.clone());
    let application = Application {
        hosts: Arc::new(OverBus(bus)),
        validator: Arc::new(TokenValidator::new(
            &keystone,
            services_keystone::LONGEST_TOKEN_AGE,
        )),
        service_role: settings.service_role,
    };
    let address = (settings.listen, settings.port);
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(name_the_request))
            .wrap(TracingLogger::default())
            .configure(|config| configure(config, &application))
    })
    .workers(2)
    .shutdown_timeout(10)
    .disable_signals()
    .bind(address)
    .with_context(|| format!("cannot listen on {}:{}", address.0, address.1))?;
    tracing::info!(address = %address.0, port = address.1, "listening");
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await.context("the HTTP server failed")
}

/// Routes and what they need.
pub fn configure(config: &mut ServiceConfig, application: &Application) {
    let json = web::JsonConfig::default()
        .limit(BODY_LIMIT_BYTES)
        .error_handler(|error, _| Refused::invalid(error.to_string()).into());
    let path = web::PathConfig::default()
        .error_handler(|error, _| Refused::invalid(error.to_string()).into());
    let query = web::QueryConfig::default()
        .error_handler(|error, _| Refused::invalid(error.to_string()).into());
    config
        .app_data(Data::from(application.hosts.clone()))
        .app_data(Data::from(application.validator.clone()))
        .app_data(Data::new(ServiceRole(application.service_role.clone())))
        .app_data(json)
        .app_data(path)
        .app_data(query)
        .route("/", web::get().to(version::list))
        .route("/health", web::get().to(health::show))
        .route("/v2", web::get().to(version::show))
        .route("/v2/", web::get().to(version::show))
        .service(
            // The last to be wrapped is the first to be asked.
            web::scope("/v2/hosts")
                .wrap(from_fn(only_services))
                .wrap(from_fn(services_keystone::authenticate))
                .route("", web::get().to(host::list))
                .service(
                    web::resource("/{host}/transfers/{id}")
                        .route(web::put().to(transfer::start))
                        .route(web::get().to(transfer::show))
                        .route(web::delete().to(transfer::cancel)),
                )
                .route("/{host}/connector", web::get().to(connection::connector))
                .route("/{host}/servers/{id}/disks", web::get().to(server::disks))
                .service(
                    web::resource("/{host}/points/{id}")
                        .route(web::put().to(point::take))
                        .route(web::delete().to(point::end)),
                )
                .service(
                    web::resource("/{host}/connections/{id}")
                        .route(web::put().to(connection::open))
                        .route(web::delete().to(connection::close)),
                )
                .service(
                    web::resource("/{host}/freezes/{id}")
                        .route(web::put().to(freeze::start))
                        .route(web::delete().to(freeze::end)),
                ),
        )
        .default_service(web::to(unknown));
}

async fn unknown(request: HttpRequest) -> Result<HttpResponse, Refused> {
    let message = format!(
        "{} {} is nothing of this API",
        request.method(),
        request.path()
    );
    Err(Refused(Refusal::new(RefusalKind::NotFound, message)))
}

/// A tenant's token must not reach other tenants' disks (architecture D9).
async fn only_services(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let caller = Caller::extract(request.request()).await?;
    let role = request
        .app_data::<Data<ServiceRole>>()
        .map_or("service", |role| &role.0);
    if let Err(refusal) = caller.require_role(role) {
        let user = &caller.info.user_id;
        tracing::warn!(
            user,
            "turned away: a user without the role {role} asked for datamovers"
        );
        return Err(refusal.into());
    }
    next.call(request).await
}

/// The id under which the log tells of this request, for who asks about it.
async fn name_the_request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map(ToString::to_string);
    let mut response = next.call(request).await?;
    if let Some(value) = id.and_then(|id| HeaderValue::from_str(&format!("req-{id}")).ok()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}
