//! One session with retries, errors in the ports' words, and lists of many pages.

use serde::de::DeserializeOwned;
use serde_json::Value;
use services_keystone::{Answer, Method, Request, RetryPolicy, Service, Session, TokenInfo};
use services_types::ProjectId;
use tracing::warn;
use url::Url;

use super::refusal::{refused, unanswered};
use crate::{CloudError, CloudErrorKind as Kind, gone_is_fine};

/// Nova 2.90 (Xena): flavors by value (2.47), attachment ids (2.89), key pairs of the trustor.
const NOVA: &str = "2.90";
/// Cinder 3.44 (Queens): attachments with `os-complete`, snapshots found by metadata (3.22).
const CINDER: &str = "3.44";
/// More pages than this are a server that repeats itself.
const MOST_PAGES: usize = 10_000;

pub(super) struct Client {
    session: Session,
    policy: RetryPolicy,
}

/// A request to the service's API version that the shapes here are written for.
pub(super) fn request(method: Method, service: Service, segments: &[&str]) -> Request {
    let request = Request::new(method, service, segments);
    match service {
        Service::Compute => request.microversion(NOVA),
        Service::BlockStorage => request.microversion(CINDER),
        Service::Identity | Service::Image | Service::Network | Service::Other(_) => request,
    }
}

impl Client {
    pub(super) fn new(session: Session, policy: RetryPolicy) -> Self {
        Self { session, policy }
    }

    pub(super) async fn identity(&self) -> Result<TokenInfo, CloudError> {
        let operation = "log in";
        self.session
            .identity()
            .await
            .map_err(|e| unanswered(operation, e))
    }

    /// The project that the identity acts in.
    pub(super) async fn project_id(&self) -> Result<ProjectId, CloudError> {
        let operation = "look up the identity's project";
        let id = self.identity().await?.project_id.unwrap_or_default();
        ProjectId::try_from(id).map_err(|e| {
            CloudError::new(
                Kind::Broken,
                operation,
                "the token is not scoped to a project",
            )
            .with_source(e)
        })
    }

    /// Sends, and takes nothing but a 2xx for an answer.
    pub(super) async fn send(
        &self,
        request: Request,
        operation: &str,
    ) -> Result<Answer, CloudError> {
        let service = request.service();
        let answer = self
            .session
            .send_with_retries(&request, &self.policy)
            .await
            .map_err(|e| unanswered(operation, e))?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(refused(service, operation, &answer))
        }
    }

    /// Sends, and reads the object that stands under `key` in the answer.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: Request,
        key: &str,
        operation: &str,
    ) -> Result<T, CloudError> {
        let answer = self.send(request, operation).await?;
        let mut body: Value = answer.json().map_err(|e| unexpected(operation, e))?;
        let found = body.get_mut(key).map(Value::take).unwrap_or_default();
        serde_json::from_value(found).map_err(|e| unexpected(operation, e))
    }

    /// All pages of the list that stands under `key`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        request: Request,
        key: &str,
        operation: &str,
    ) -> Result<Vec<T>, CloudError> {
        let mut all = Vec::new();
        let mut page = request.clone();
        for _ in 0..MOST_PAGES {
            let answer = self.send(page, operation).await?;
            let mut body: Value = answer.json().map_err(|e| unexpected(operation, e))?;
            let items = body.get_mut(key).map(Value::take).unwrap_or_default();
            all.extend(
                serde_json::from_value::<Vec<T>>(items).map_err(|e| unexpected(operation, e))?,
            );
            match next_marker(&body, key) {
                Some(marker) => page = request.clone().query("marker", marker),
                None => return Ok(all),
            }
        }
        Err(CloudError::new(
            Kind::Broken,
            operation,
            "the list has no end",
        ))
    }
}

pub(super) fn unexpected(operation: &str, error: serde_json::Error) -> CloudError {
    CloudError::new(Kind::Broken, operation, "unexpected answer").with_source(error)
}

/// Something was half made and taken back: what went wrong first is the error, what went wrong in
/// taking it back is for the operator.
pub(super) fn taken_back(first: CloudError, undo: Result<(), CloudError>) -> CloudError {
    if let Err(error) = gone_is_fine(undo) {
        warn!(%error, "Something half made is left behind in the cloud");
    }
    first
}

/// Where the next page begins. Only the marker is taken from the link: its host may be one that only
/// the service itself can reach.
fn next_marker(body: &Value, key: &str) -> Option<String> {
    let links = body.get(format!("{key}_links"))?.as_array()?;
    let next = links
        .iter()
        .find(|link| link.get("rel").and_then(Value::as_str) == Some("next"))?;
    let url = Url::parse(next.get("href")?.as_str()?).ok()?;
    let marker = url.query_pairs().find(|(name, _)| name == "marker")?;
    Some(marker.1.into_owned())
}
