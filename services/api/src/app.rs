//! The application put together: what the handlers share, the table's resources, and the answer to
//! whatever is no endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use secrecy::ExposeSecret;
use services_db::Datastore;
use services_keystone::{Keystone, LONGEST_TOKEN_AGE, Session, TokenValidator};

use crate::answering::answer;
use crate::body::BodyLimit;
use crate::policy::{Policy, PolicyError};
use crate::routes;
use crate::settings::Settings;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The rows.
    pub datastore: Datastore,
    /// Where callers' tokens are used in their name.
    pub keystone: Keystone,
    /// Our own user, the trustee of every trust.
    pub service: Session,
    /// Whose token is good.
    pub validator: Arc<TokenValidator>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Held by the request that makes a trust.
    pub(crate) making_trust: Arc<tokio::sync::Mutex<()>>,
    /// Roles that a tenant hands on to us by a trust, where they have them.
    pub trustee_roles: Arc<[String]>,
    /// The target that new backups go to.
    pub target_id: Option<Arc<str>>,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
}

/// Why the API cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database is not there, or cannot be prepared.
    #[error("prepare the database")]
    Database(#[from] services_db::Error),
    /// The settings of Keystone cannot be used.
    #[error("prepare for Keystone")]
    Keystone(#[from] services_keystone::KeystoneError),
    /// The operator's rules cannot be used.
    #[error("prepare the policy")]
    Policy(#[from] PolicyError),
    /// The address is taken, or not ours.
    #[error("listen on {address}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl Shared {
    /// Connects to the database and brings it up to date. Keystone may be down yet.
    pub async fn open(settings: &Settings) -> Result<Self, StartError> {
        let datastore = Datastore::connect(settings.database.expose_secret()).await?;
        datastore.migrate().await?;
        let keystone = Keystone::new(settings.keystone.clone())?;
        Ok(Self {
            datastore,
            validator: Arc::new(TokenValidator::new(&keystone, LONGEST_TOKEN_AGE)),
            service: keystone.service_session(),
            keystone,
            making_trust: Arc::default(),
            policy: Arc::new(Policy::load(settings.policy_file.clone())?),
            trustee_roles: settings.trustee_roles.clone().into(),
            target_id: settings.target_id.as_deref().map(Into::into),
            max_body_bytes: settings.max_body_bytes,
        })
    }
}

/// Listens; answers as long as the server is awaited. Also tells where: port 0 is a free one.
pub fn listen(
    shared: &Shared,
    settings: &Settings,
) -> Result<(Server, Vec<SocketAddr>), StartError> {
    let address = SocketAddr::from((settings.listen, settings.port));
    let shared = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(configure(&shared))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(answer))
    })
    .workers(settings.workers.get())
    .disable_signals()
    .bind(address)
    .map_err(|source| StartError::Listen { address, source })?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// Adds everything but the outermost layer ([`answer`]) to an application.
fn configure(shared: &Shared) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let shared = shared.clone();
    move |app| {
        app.app_data(Data::from(Arc::clone(&shared.validator)))
            .app_data(Data::from(Arc::clone(&shared.policy)))
            .app_data(Data::new(BodyLimit {
                bytes: shared.max_body_bytes,
            }))
            .app_data(Data::new(shared));
        for resource in routes::resources() {
            app.service(resource);
        }
        app.default_service(web::to(not_found));
    }
}

async fn not_found() -> impl Responder {
    HttpResponse::NotFound()
}
