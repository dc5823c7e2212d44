//! One request to a service of the catalog, and its answer.

use std::time::Duration;

use bytes::Bytes;
pub use reqwest::Method;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{KeystoneError, KeystoneErrorKind};

/// A service, by the names that catalogs give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Keystone; reached at the URL of the settings, not of the catalog.
    Identity,
    /// Nova.
    Compute,
    /// Cinder.
    BlockStorage,
    /// Glance.
    Image,
    /// Neutron.
    Network,
    /// Any other type, such as `datamover`; its URL is used as it stands in the catalog.
    Other(&'static str),
}

impl Service {
    pub(crate) fn catalog_types(&self) -> &[&'static str] {
        match self {
            Self::Identity => &["identity"],
            Self::Compute => &["compute"],
            Self::BlockStorage => &["block-storage", "volumev3"],
            Self::Image => &["image"],
            Self::Network => &["network"],
            Self::Other(name) => std::slice::from_ref(name),
        }
    }

    pub(crate) const fn version(self) -> Option<&'static str> {
        match self {
            Self::Image => Some("v2"),
            Self::Network => Some("v2.0"),
            Self::Identity | Self::Compute | Self::BlockStorage | Self::Other(_) => None,
        }
    }

    const fn microversion_name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::BlockStorage => "volume",
            Self::Identity => "identity",
            Self::Image => "image",
            Self::Network => "network",
            Self::Other(name) => name,
        }
    }
}

/// A request; may be sent more than once.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) service: Service,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) microversion: Option<&'static str>,
    pub(crate) subject_token: Option<SecretString>,
    pub(crate) is_repeatable: bool,
}

impl Request {
    /// `segments` are the path below the service's root; each is escaped by itself.
    pub fn new(method: Method, service: Service, segments: &[&str]) -> Self {
        let is_repeatable = matches!(method, Method::GET | Method::PUT | Method::DELETE);
        Self {
            method,
            service,
            segments: segments.iter().map(|s| (*s).to_owned()).collect(),
            query: Vec::new(),
            body: None,
            microversion: None,
            subject_token: None,
            is_repeatable,
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// What to send, as JSON.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// `OpenStack-API-Version`, without the service's name.
    #[must_use]
    pub fn microversion(mut self, version: &'static str) -> Self {
        self.microversion = Some(version);
        self
    }

    /// Sending it twice does what sending it once does; GET, PUT and DELETE are so without asking.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Whom it is for.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The token that the request is about.
    pub(crate) fn subject_token(mut self, token: SecretString) -> Self {
        self.subject_token = Some(token);
        self
    }

    /// `DELETE`, which a second attempt may find done by the first.
    pub(crate) fn is_delete(&self) -> bool {
        self.method == Method::DELETE
    }

    pub(crate) fn version_header(&self) -> Option<String> {
        self.microversion
            .map(|version| format!("{} {version}", self.service.microversion_name()))
    }

    /// For messages: `GET compute /servers/4f..`; never the parameters, which may hold names.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} {} /{}",
            self.method,
            self.service.catalog_types().first().unwrap_or(&"?"),
            self.segments.join("/")
        )
    }
}

/// What a service answered, whatever it was.
#[derive(Clone)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    pub(crate) subject_token: Option<SecretString>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The service's own id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The body as JSON of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The service's words in a refusal: the `message` of OpenStack's fault body, else the reason of
    /// the status. Neutron adds the fault's type, which is the only way to tell its quota errors.
    pub fn fault(&self) -> (Option<String>, String) {
        let reason = || self.status.canonical_reason().unwrap_or("?").to_owned();
        let Ok(Value::Object(body)) = serde_json::from_slice(&self.body) else {
            return (None, reason());
        };
        let fault = body.values().find_map(Value::as_object);
        let text = |name| {
            fault
                .and_then(|f| f.get(name))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let message =
            text("message").or_else(|| body.values().find_map(Value::as_str).map(str::to_owned));
        (
            text("type"),
            message.filter(|m| !m.is_empty()).unwrap_or_else(reason),
        )
    }

    /// Keystone's refusals by kind; other services have finer ones.
    pub(crate) fn into_keystone_error(self, operation: impl Into<String>) -> KeystoneError {
        let kind = match self.status.as_u16() {
            401 => KeystoneErrorKind::Unauthorized,
            403 => KeystoneErrorKind::Forbidden,
            404 | 410 => KeystoneErrorKind::NotFound,
            408 | 429 | 500..=599 => KeystoneErrorKind::Unreachable,
            _ => KeystoneErrorKind::Broken,
        };
        let (_, message) = self.fault();
        KeystoneError::new(kind, operation, format!("{message} ({})", self.status()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &'static str) -> (Option<String>, String) {
        Answer {
            status: StatusCode::CONFLICT,
            retry_after: None,
            request_id: None,
            subject_token: None,
            body: Bytes::from_static(body.as_bytes()),
        }
        .fault()
    }

    #[test]
    fn the_services_words_are_found_in_every_shape_of_fault() {
        let nova = fault(r#"{"conflictingRequest": {"code": 409, "message": "busy"}}"#);
        assert_eq!(nova, (None, "busy".to_owned()));
        let neutron =
            fault(r#"{"NeutronError": {"type": "OverQuota", "message": "full", "detail": ""}}"#);
        assert_eq!(neutron, (Some("OverQuota".to_owned()), "full".to_owned()));
        let old_neutron = fault(r#"{"NeutronError": "text only"}"#);
        assert_eq!(old_neutron, (None, "text only".to_owned()));
        let glance = fault("<html><title>409 Conflict</title></html>");
        assert_eq!(glance, (None, "Conflict".to_owned()));
    }
}
