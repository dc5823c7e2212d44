//! For actix: nobody gets past [`authenticate`] without a token that Keystone knows.
//!
//! ```ignore
//! App::new()
//!     .app_data(web::Data::from(validator))            // Arc<TokenValidator>
//!     .service(web::scope("/v1").wrap(from_fn(services_keystone::authenticate)))
//! ```

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use secrecy::SecretString;
use serde_json::json;
use tracing::warn;

use crate::token::TokenInfo;
use crate::validator::TokenValidator;

/// Who makes a request; an extractor for handlers behind [`authenticate`].
#[derive(Clone)]
pub struct Caller {
    /// Their token, to act as them.
    pub token: SecretString,
    /// Whom it stands for.
    pub info: Arc<TokenInfo>,
}

impl Caller {
    /// Refuses callers without a role in their token's project.
    pub fn require_role(&self, role: &str) -> Result<(), Refusal> {
        if self.info.has_role(role) {
            Ok(())
        } else {
            Err(Refusal::Forbidden {
                needed_role: role.to_owned(),
            })
        }
    }
}

impl FromRequest for Caller {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or(Refusal::NotWired))
    }
}

/// Why a request is not let in; answered as other OpenStack services do.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No token, or none that Keystone knows.
    #[error("no valid token")]
    Unauthorized {
        /// Where to get one.
        keystone_uri: String,
    },
    /// The role is missing.
    #[error("the role {needed_role} is needed")]
    Forbidden {
        /// Which one.
        needed_role: String,
    },
    /// Keystone could not be asked.
    #[error("Keystone cannot be asked")]
    KeystoneUnreachable,
    /// The handler or the middleware stands in a server that was put together wrong.
    #[error("authentication is not set up on this path")]
    NotWired,
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::KeystoneUnreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotWired => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let message = match self {
            Self::Unauthorized { .. } => {
                "The request you have made requires authentication.".to_owned()
            }
            Self::Forbidden { needed_role } => format!("This needs the role {needed_role}."),
            Self::KeystoneUnreachable => {
                "The Keystone service is temporarily unavailable.".to_owned()
            }
            Self::NotWired => "The server is misconfigured.".to_owned(),
        };
        let mut response = HttpResponse::build(status);
        match self {
            Self::Unauthorized { keystone_uri } => {
                let challenge = format!("Keystone uri=\"{keystone_uri}\"");
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Self::KeystoneUnreachable => {
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            Self::Forbidden { .. } | Self::NotWired => {}
        }
        response.json(json!({ "error": {
            "code": status.as_u16(),
            "title": status.canonical_reason(),
            "message": message,
        } }))
    }
}

/// Middleware (`actix_web::middleware::from_fn`): validates `X-Auth-Token` and puts a [`Caller`] into
/// the request. Wants `web::Data<TokenValidator>` in the application.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let caller = identify(&request).await?;
    request.extensions_mut().insert(caller);
    next.call(request).await
}

async fn identify(request: &ServiceRequest) -> Result<Caller, Refusal> {
    let validator = request
        .app_data::<web::Data<TokenValidator>>()
        .ok_or(Refusal::NotWired)?;
    let unauthorized = || Refusal::Unauthorized {
        keystone_uri: validator.keystone().auth_url().to_string(),
    };
    let token = request
        .headers()
        .get("X-Auth-Token")
        .and_then(|value| value.to_str().ok())
        .map(SecretString::from)
        .ok_or_else(unauthorized)?;
    match validator.validate(&token).await {
        Ok(Some(info)) => Ok(Caller { token, info }),
        Ok(None) => Err(unauthorized()),
        Err(error) => {
            let cause = std::error::Error::source(&*error).map(ToString::to_string);
            warn!(%error, cause, "A request was turned away: its token could not be validated");
            Err(Refusal::KeystoneUnreachable)
        }
    }
}
