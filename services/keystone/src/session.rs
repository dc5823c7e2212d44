//! One identity: logs in when it first has to, renews its token in time and after a 401, sends
//! requests to the services of its catalog.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Certificate, redirect};
use secrecy::SecretString;
use tokio::sync::Mutex;
use url::Url;

use crate::error::{KeystoneError, KeystoneErrorKind as Kind};
use crate::exchange::{AUTH_TOKEN, SUBJECT_TOKEN, append_segments, exchange, secret_header};
use crate::login::{Issued, Login};
use crate::request::{Answer, Request, Service};
use crate::retry::RetryPolicy;
use crate::settings::KeystoneSettings;
use crate::token::TokenInfo;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Cinder connects a volume within the request, and that takes its driver a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// A token this near its end is renewed before it is used, so that it does not end on its way.
const RENEWAL_MARGIN: TimeDelta = TimeDelta::seconds(30);

const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// A Keystone and our account there; gives out sessions that share its connections. Cheap to clone.
#[derive(Clone)]
pub struct Keystone {
    pub(crate) http: reqwest::Client,
    pub(crate) settings: Arc<KeystoneSettings>,
}

impl Keystone {
    /// Reads the certificates; sends nothing.
    pub fn new(settings: KeystoneSettings) -> Result<Self, KeystoneError> {
        let http = http_client(&settings)?;
        Ok(Self {
            http,
            settings: Arc::new(settings),
        })
    }

    /// Our own user in its project.
    pub fn service_session(&self) -> Session {
        self.session(Login::Password)
    }

    /// The trustor of a trust that our user is the trustee of.
    pub fn trust_session(&self, trust_id: impl Into<String>) -> Session {
        self.session(Login::Trust(trust_id.into()))
    }

    /// The holder of a token, for as long as that lasts.
    pub fn token_session(&self, token: SecretString) -> Session {
        self.session(Login::Token(token))
    }

    /// The HTTP client with our certificates and limits, for requests that no session sends.
    pub fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Where clients are told to get a token.
    pub fn auth_url(&self) -> &Url {
        &self.settings.auth_url
    }

    fn session(&self, login: Login) -> Session {
        Session {
            inner: Arc::new(Inner {
                keystone: self.clone(),
                login,
                current: RwLock::new(None),
                logging_in: Mutex::new(()),
            }),
        }
    }
}

fn http_client(settings: &KeystoneSettings) -> Result<reqwest::Client, KeystoneError> {
    let broken =
        |message: String| KeystoneError::new(Kind::Broken, "set up the Keystone client", message);
    // No redirects: a token must not follow one to another host.
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("backstay/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &settings.cafile {
        let refused = |what: &str| broken(format!("{what} the certificates in {}", path.display()));
        let pem = std::fs::read(path).map_err(|e| refused("cannot read").with_source(e))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|e| refused("cannot parse").with_source(e))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if settings.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder
        .build()
        .map_err(|e| broken("no HTTP client".to_owned()).with_source(e))
}

/// One identity at work. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    keystone: Keystone,
    login: Login,
    current: RwLock<Option<Arc<Issued>>>,
    // Held while logging in, so that many requests that find no token make one log-in.
    logging_in: Mutex<()>,
}

impl Session {
    /// Logs in if need be; whom the session acts as.
    pub async fn identity(&self) -> Result<TokenInfo, KeystoneError> {
        Ok(self.issued().await?.info.clone())
    }

    /// A token good for at least a few seconds, for a request that is not sent by the session.
    pub async fn token(&self) -> Result<SecretString, KeystoneError> {
        Ok(self.issued().await?.token.clone())
    }

    /// Where a service listens.
    pub async fn endpoint(&self, service: Service) -> Result<Url, KeystoneError> {
        self.endpoint_for(&*self.issued().await?, service)
    }

    /// Sends a request once; after a 401 once more with a new token. Every answer is `Ok`.
    pub async fn send(&self, request: &Request) -> Result<Answer, KeystoneError> {
        let issued = self.issued().await.map_err(KeystoneError::unsent)?;
        let answer = self.send_as(request, &issued).await?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        match self.renew(&issued).await {
            Ok(renewed) => self.send_as(request, &renewed).await,
            // The token cannot be renewed: the service's own refusal is the answer.
            Err(error) if error.kind() == Kind::Unauthorized => Ok(answer),
            Err(error) => Err(error.unsent()),
        }
    }

    async fn send_as(&self, request: &Request, issued: &Issued) -> Result<Answer, KeystoneError> {
        let mut url = self.endpoint_for(issued, request.service)?;
        append_segments(&mut url, &request.segments);
        let operation = request.describe();
        let mut headers = HeaderMap::new();
        headers.insert(AUTH_TOKEN, secret_header(&issued.token)?);
        if let Some(subject) = &request.subject_token {
            headers.insert(SUBJECT_TOKEN, secret_header(subject)?);
        }
        if let Some(version) = request.version_header().and_then(|v| v.parse().ok()) {
            headers.insert(API_VERSION, version);
        }
        let mut builder = self
            .inner
            .keystone
            .http
            .request(request.method.clone(), url)
            .headers(headers);
        if !request.query.is_empty() {
            builder = builder.query(&request.query);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        exchange(builder, &operation).await
    }

    fn endpoint_for(&self, issued: &Issued, service: Service) -> Result<Url, KeystoneError> {
        let settings = &self.inner.keystone.settings;
        if service == Service::Identity {
            return Ok(settings.identity_url());
        }
        let region = settings.region_name.as_deref();
        issued
            .catalog
            .endpoint(service, settings.interface, region)
            .ok_or_else(|| {
                KeystoneError::new(
                    Kind::Broken,
                    "look into the service catalog",
                    format!(
                        "no {} endpoint of type {} in {}",
                        settings.interface.as_str(),
                        service.catalog_types().join(" or "),
                        region.map_or("any region".to_owned(), |r| format!("region {r}")),
                    ),
                )
            })
    }

    fn current(&self) -> Option<Arc<Issued>> {
        // A poisoned lock still holds a whole value: it is only ever replaced.
        self.inner
            .current
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .clone()
    }

    async fn issued(&self) -> Result<Arc<Issued>, KeystoneError> {
        let is_fresh = |issued: &Arc<Issued>| issued.info.expires_at - RENEWAL_MARGIN > Utc::now();
        if let Some(issued) = self.current().filter(is_fresh) {
            return Ok(issued);
        }
        let _one_at_a_time = self.inner.logging_in.lock().await;
        match self.current().filter(is_fresh) {
            Some(issued) => Ok(issued),
            None => self.log_in().await,
        }
    }

    /// A token other than the one that was refused.
    async fn renew(&self, refused: &Arc<Issued>) -> Result<Arc<Issued>, KeystoneError> {
        let _one_at_a_time = self.inner.logging_in.lock().await;
        match self.current() {
            Some(current) if !Arc::ptr_eq(&current, refused) => Ok(current),
            _ => self.log_in().await,
        }
    }

    async fn log_in(&self) -> Result<Arc<Issued>, KeystoneError> {
        let keystone = &self.inner.keystone;
        let issued = match &self.inner.login {
            Login::Password => keystone.log_in_by_password().await,
            Login::Trust(trust_id) => keystone.log_in_by_trust(trust_id).await,
            Login::Token(token) => keystone.look_up_own_token(token).await,
        }?;
        let issued = Arc::new(issued);
        *self
            .inner
            .current
            .write()
            .unwrap_or_else(|e| e.into_inner()) = Some(Arc::clone(&issued));
        Ok(issued)
    }

    /// The user that trusts must name as trustee: ours, whatever this session acts as.
    pub fn keystone(&self) -> &Keystone {
        &self.inner.keystone
    }

    pub(crate) async fn send_to_keystone(
        &self,
        request: &Request,
        operation: &str,
    ) -> Result<Answer, KeystoneError> {
        let answer = self
            .send_with_retries(request, &RetryPolicy::default())
            .await?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(answer.into_keystone_error(operation))
        }
    }
}
