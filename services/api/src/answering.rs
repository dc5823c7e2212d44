//! The outermost layer of every request: gives it an id, logs it once under that id, and sees to it
//! that whatever went wrong, in whatever layer, is answered in the one shape of [`fault`](crate::fault).

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use services_foundation::error_chain::ErrorChain;
use tracing::{Instrument, error, info, info_span};

use crate::error::ApiError;
use crate::fault;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");
/// Headers of an error that carry meaning beside its message.
const KEPT: [HeaderName; 3] = [ALLOW, RETRY_AFTER, WWW_AUTHENTICATE];

/// Middleware (`from_fn`), to be wrapped last so that it is outermost.
pub(crate) async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = format!("req-{}", uuid::Uuid::new_v4());
    let method = request.method().clone();
    let path = request.path().to_owned();
    let span = info_span!("request", id, %method, path);
    async move {
        let begun = Instant::now();
        let answered = match next.call(request).await {
            Ok(response) => Ok(with_fault(response.map_into_boxed_body(), &id)),
            Err(error) => Err(into_fault(error, &id)),
        };
        let status = match &answered {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        let took_ms = begun.elapsed().as_millis();
        info!(
            status = status.as_u16(),
            took_ms, "{method} {path}: {status}"
        );
        answered
    }
    .instrument(span)
    .await
}

/// An error that a handler or an extractor answered with.
fn with_fault(mut response: ServiceResponse, id: &str) -> ServiceResponse {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let fault = match response.response().error() {
            Some(error) => {
                log_cause(error);
                fault_of(error, response.headers(), status)
            }
            None => fault::response(status, &reason(status), &kept(response.headers())),
        };
        response = response.into_response(fault);
    }
    set_id(response.response_mut().headers_mut(), id);
    response
}

/// An error that a middleware refused with: no request is left to answer to, so it stays an error,
/// which actix answers with the fault made here.
fn into_fault(error: Error, id: &str) -> Error {
    log_cause(&error);
    let original = error.as_response_error().error_response();
    let mut fault = fault_of(&error, original.headers(), original.status());
    set_id(fault.headers_mut(), id);
    InternalError::from_response(error, fault).into()
}

fn fault_of(error: &Error, headers: &HeaderMap, status: StatusCode) -> HttpResponse {
    let message = match (error.as_error::<ApiError>(), status) {
        (Some(error), _) => error.public_message(),
        (None, StatusCode::UNAUTHORIZED) => {
            "The request you have made requires authentication.".to_owned()
        }
        (None, StatusCode::SERVICE_UNAVAILABLE) => {
            "The Keystone service is temporarily unavailable.".to_owned()
        }
        (None, status) if status.is_server_error() => fault::SERVER_ERROR.to_owned(),
        (None, _) => error.to_string(),
    };
    fault::response(status, &message, &kept(headers))
}

fn log_cause(error: &Error) {
    match error.as_error::<ApiError>() {
        Some(error @ (ApiError::Internal { .. } | ApiError::Unavailable { .. })) => {
            error!(error = %ErrorChain(error), "A request was not done");
        }
        Some(_) => {}
        None if error.as_response_error().status_code().is_server_error() => {
            error!(%error, "A request was not done");
        }
        None => {}
    }
}

fn reason(status: StatusCode) -> String {
    match status {
        StatusCode::NOT_FOUND => "The resource could not be found.".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "The method is not allowed for this resource.".to_owned(),
        status if status.is_server_error() => fault::SERVER_ERROR.to_owned(),
        status => status.canonical_reason().unwrap_or("Refused").to_owned(),
    }
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    KEPT.iter()
        .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
        .collect()
}

fn set_id(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}
