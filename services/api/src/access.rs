//! Whether a request may go on to its handler: the policy rule of its operation, and the project in
//! its URL. One place for every endpoint, so that no handler can forget it.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use services_keystone::Caller;
use services_types::{ProjectId, UserId};

use crate::error::ApiError;
use crate::policy::Policy;

/// A request that was let in, and in whose name; an extractor for handlers.
#[derive(Clone)]
pub(crate) struct Access {
    /// Who asks.
    pub(crate) caller: Caller,
    /// Whose URL it is: the project that is worked on.
    pub(crate) project_id: ProjectId,
    /// Who asks, by id.
    pub(crate) user_id: UserId,
    /// Administrators see what belongs to others.
    pub(crate) is_admin: bool,
}

impl Access {
    /// Which rows a list holds: `Some(None)` is all, `None` is none at all. A tenant who asks for
    /// more than their own gets their own, as other OpenStack services do it.
    pub(crate) fn list_scope(
        &self,
        wants_all: bool,
        of: Option<&str>,
    ) -> Option<Option<ProjectId>> {
        match (self.is_admin, of.filter(|id| !id.is_empty())) {
            (true, Some(project_id)) => project_id.parse().ok().map(Some),
            (true, None) if wants_all => Some(None),
            (false, Some(project_id)) if project_id != self.project_id.as_str() => None,
            _ => Some(Some(self.project_id.clone())),
        }
    }

    /// What belongs to another tenant is not there.
    pub(crate) fn can_see(&self, owner: &ProjectId) -> bool {
        self.is_admin || self.owns(owner)
    }

    /// Whether it belongs to the project in the URL.
    pub(crate) fn owns(&self, owner: &ProjectId) -> bool {
        *owner == self.project_id
    }

    /// Whether the caller's token is of the project in the URL: only then can they act in it.
    pub(crate) fn is_in_own_project(&self) -> bool {
        self.caller.info.project_id.as_deref() == Some(self.project_id.as_str())
    }
}

impl FromRequest for Access {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let access = request.extensions().get::<Self>().cloned();
        ready(access.ok_or_else(|| ApiError::internal("read who asks", "no policy on this path")))
    }
}

/// Middleware of one route: enforces `operation` before the handler runs.
pub(crate) async fn enforce(
    operation: &'static str,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let access = admit(operation, &request)?;
    request.extensions_mut().insert(access);
    next.call(request).await
}

fn admit(operation: &'static str, request: &ServiceRequest) -> Result<Access, ApiError> {
    let wiring = |what: &'static str| ApiError::internal("enforce the policy", what);
    let policy = request
        .app_data::<web::Data<Policy>>()
        .ok_or_else(|| wiring("no policy in the application"))?;
    let caller = request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| wiring("no authentication before the policy"))?;
    let named = request.match_info().get("project_id").unwrap_or_default();
    let no_such_project = || {
        ApiError::Forbidden(format!(
            "The token is not of project {}.",
            named.chars().take(64).collect::<String>()
        ))
    };
    let project_id: ProjectId = named.parse().map_err(|_| no_such_project())?;
    let user_id = caller
        .info
        .user_id
        .parse()
        .map_err(|source| ApiError::internal("read the token's user", source))?;
    let is_admin = policy.is_admin(&caller.info, &project_id);
    let is_own = caller.info.project_id.as_deref() == Some(project_id.as_str());
    if !is_own && !is_admin {
        return Err(no_such_project());
    }
    if !policy.allows(operation, &caller.info, &project_id) {
        return Err(ApiError::Forbidden(format!(
            "Policy doesn't allow {operation} to be performed."
        )));
    }
    Ok(Access {
        caller,
        project_id,
        user_id,
        is_admin,
    })
}
