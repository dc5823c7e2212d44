//! One HTTP request and its answer, with tokens where no log shows them.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use crate::error::{KeystoneError, KeystoneErrorKind as Kind};
use crate::request::Answer;

pub(crate) const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
pub(crate) const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// One request and its whole answer. Logged without parameters, headers and bodies.
pub(crate) async fn exchange(
    builder: reqwest::RequestBuilder,
    operation: &str,
) -> Result<Answer, KeystoneError> {
    let begun = Instant::now();
    let no_answer = |e| KeystoneError::no_answer(operation, e);
    let response = builder.send().await.map_err(no_answer)?;
    let status = response.status();
    let header = |name: &HeaderName| {
        let value = response.headers().get(name).and_then(|v| v.to_str().ok());
        value.map(str::to_owned)
    };
    let request_id = header(&REQUEST_ID);
    let retry_after = header(&reqwest::header::RETRY_AFTER)
        .and_then(|v| v.parse().ok())
        .map(Duration::from_secs);
    let subject_token = header(&SUBJECT_TOKEN).map(SecretString::from);
    let body = response.bytes().await.map_err(no_answer)?;
    debug!(
        operation,
        status = status.as_u16(),
        took_ms = begun.elapsed().as_millis(),
        request_id,
        "Cloud answered"
    );
    Ok(Answer {
        status,
        retry_after,
        request_id,
        subject_token,
        body,
    })
}

pub(crate) fn secret_header(secret: &SecretString) -> Result<HeaderValue, KeystoneError> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
        KeystoneError::new(
            Kind::Unauthorized,
            "send a token",
            "it holds characters that no token has",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn append_segments<S: AsRef<str>>(url: &mut Url, segments: &[S]) {
    // Fails for URLs such as `mailto:`, which no HTTP client takes either.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
}
