//! The shape of every error answer: `{"<faultName>": {"code", "message"}}`, with OpenStack's names.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use serde_json::json;

/// What a client is told of an error that is not its own.
pub(crate) const SERVER_ERROR: &str =
    "The server has either erred or is incapable of performing the requested operation.";

/// OpenStack's name for a status, as Nova and Cinder have it.
pub(crate) fn name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        500.. => "computeFault",
        _ => "badRequest",
    }
}

/// An error answer.
pub(crate) fn response(status: StatusCode, message: &str, headers: &HeaderMap) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    for (key, value) in headers {
        response.append_header((key.clone(), value.clone()));
    }
    response.json(json!({ name(status): { "code": status.as_u16(), "message": message } }))
}
