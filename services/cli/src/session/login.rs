//! A session: a token, kept in memory only, and the place of the API.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::config::{Config, config};
use super::endpoint;
use super::error::LoginError;
use super::keystone::{Identity, token};
use super::options::CloudOptions;

/// Longest time to wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Longest time to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A valid login and the place of the API.
pub(crate) struct Session {
    pub(crate) http: Client,
    /// What all paths are relative to.
    pub(crate) endpoint: Url,
    /// For `X-Auth-Project-Id`.
    pub(crate) project_id: String,
    config: Config,
    token: RefCell<SecretString>,
}

/// Logs in with what the options, the environment and `clouds.yaml` say.
pub(crate) async fn login(options: &CloudOptions<'_>) -> Result<Session, LoginError> {
    let config = config(options)?;
    let http = client(&config)?;
    let token = token(
        &http,
        &config.auth_url,
        &config.identity,
        config.project.as_ref(),
    )
    .await?;
    let project_id = token.project_id.ok_or(LoginError::NoProject)?;
    let endpoint = endpoint::find(&token.catalog, &config.interface, config.region.as_deref())?;
    Ok(Session {
        http,
        endpoint,
        project_id,
        config,
        token: RefCell::new(token.secret),
    })
}

impl Session {
    /// For `X-Auth-Token`; marked as a secret, so that nothing prints it.
    pub(crate) fn token_header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(self.token.borrow().expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A new token, for one that has expired; false where only that token was given.
    pub(crate) async fn renew(&self) -> Result<bool, LoginError> {
        let Config {
            auth_url,
            identity,
            project,
            ..
        } = &self.config;
        if matches!(identity, Identity::Token(_)) {
            return Ok(false);
        }
        let new = token(&self.http, auth_url, identity, project.as_ref()).await?;
        self.token.replace(new.secret);
        Ok(true)
    }
}

fn client(config: &Config) -> Result<Client, LoginError> {
    let mut builder = Client::builder()
        .timeout(ANSWER_LIMIT)
        .connect_timeout(CONNECT_LIMIT)
        .user_agent(concat!("workloadmgr/", env!("CARGO_PKG_VERSION")))
        .tls_danger_accept_invalid_certs(config.is_insecure);
    if let Some(path) = &config.cacert {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    builder
        .build()
        .map_err(|source| LoginError::Http { source })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, LoginError> {
    let failed = |source| LoginError::Certificates {
        path: path.to_owned(),
        source,
    };
    let pem = fs::read(path).map_err(|source| failed(Box::new(source)))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|source| failed(Box::new(source)))?;
    if certificates.is_empty() {
        return Err(failed("there is none in it".into()));
    }
    Ok(certificates)
}
