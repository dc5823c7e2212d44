//! The login itself: one token, never written to disk.

use std::time::Duration;

use openstack_sdk::config::CloudConfig;
use openstack_sdk::{AsyncOpenStack, AuthError, OpenStackError};
use url::Url;

use super::config::cloud_config;
use super::endpoint;
use super::error::LoginError;
use super::options::CloudOptions;

/// Longest time to wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Longest time to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A valid login and the place of the API.
pub(crate) struct Session {
    /// Sends requests with the token, and logs in again when it has expired.
    pub(crate) cloud: AsyncOpenStack,
    /// What all paths are relative to.
    pub(crate) endpoint: Url,
    /// For `X-Auth-Project-Id`.
    pub(crate) project_id: String,
}

/// Logs in with what the options, the environment and `clouds.yaml` say.
pub(crate) async fn login(options: &CloudOptions<'_>) -> Result<Session, LoginError> {
    let config = cloud_config(options)?;
    let cloud = AsyncOpenStack::builder(&config)
        .disable_auth_cache(true)
        .http_timeout(ANSWER_LIMIT)
        .http_connect_timeout(CONNECT_LIMIT)
        .connect()
        .await
        .map_err(|error| explain(&config, error))?;
    let token = cloud.get_auth_info().map(|info| info.token);
    let project_id = token
        .and_then(|token| token.project)
        .and_then(|project| project.id)
        .ok_or(LoginError::NoProject)?;
    let endpoint = endpoint::find(
        &cloud.get_token_catalog().unwrap_or_default(),
        config.interface.as_deref().unwrap_or("public"),
        config.region_name.as_deref(),
    )?;
    Ok(Session {
        cloud,
        endpoint,
        project_id,
    })
}

/// Tells a login that was refused from a Keystone that was not reached.
fn explain(config: &CloudConfig, error: OpenStackError) -> LoginError {
    let auth = config.auth.as_ref();
    let url = auth
        .and_then(|auth| auth.auth_url.clone())
        .unwrap_or_default();
    match error {
        OpenStackError::AuthError {
            source: AuthError::Identity(answer),
        } => LoginError::Refused {
            url,
            reason: answer.message,
        },
        OpenStackError::NoAuth => LoginError::NoProject,
        other => LoginError::Unreachable {
            url,
            source: Box::new(other),
        },
    }
}
