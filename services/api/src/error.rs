//! What a handler can fail with, and the one place that says what a client sees of it. The message
//! is for the tenant; the source is for the operator and goes to the log only.

use std::error::Error as StdError;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

use crate::fault;

type Source = Box<dyn StdError + Send + Sync>;

/// A request that was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request cannot be meant: 400.
    #[error("{0}")]
    BadRequest(String),
    /// The caller's token is not good for what the request needs of the cloud: 401.
    #[error("{0}")]
    Unauthorized(String),
    /// The caller may not do this: 403.
    #[error("{0}")]
    Forbidden(String),
    /// It is not there, or it is another tenant's: 404 either way.
    #[error("{0}")]
    NotFound(String),
    /// Its state forbids it now: 409.
    #[error("{0}")]
    Conflict(String),
    /// The body is larger than the configuration allows: 413.
    #[error("The body is larger than {limit_bytes} bytes.")]
    TooLarge {
        /// What the configuration allows.
        limit_bytes: usize,
    },
    /// Another service does not answer: 503, to be tried again.
    #[error("{service} does not answer at the moment; try again.")]
    Unavailable {
        /// Which one, by its name.
        service: &'static str,
        /// What happened.
        #[source]
        source: Source,
    },
    /// Anything else: 500, and no word of it to the client.
    #[error("{doing}")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        #[source]
        source: Source,
    },
}

impl ApiError {
    /// Something that no client can cause or mend.
    pub(crate) fn internal(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Internal {
            doing,
            source: source.into(),
        }
    }

    /// What a client is told.
    pub(crate) fn public_message(&self) -> String {
        match self {
            Self::Internal { .. } => fault::SERVER_ERROR.to_owned(),
            other => other.to_string(),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut headers = HeaderMap::new();
        if matches!(self, Self::Unavailable { .. }) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        fault::response(self.status_code(), &self.public_message(), &headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_tells_the_client_nothing_of_its_cause() {
        let error = ApiError::internal("read the table", "secret host refused");
        assert_eq!(error.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.public_message().contains("secret"));
        assert!(!error.public_message().contains("table"));
    }

    #[test]
    fn a_service_that_does_not_answer_is_worth_another_try() {
        let error = ApiError::Unavailable {
            service: "Nova",
            source: "connection refused".into(),
        };
        let response = error.error_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }
}
