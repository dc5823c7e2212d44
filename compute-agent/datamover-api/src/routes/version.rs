use actix_web::HttpResponse;
use serde_json::{Value, json};

fn version() -> Value {
    json!({
        "id": "v2.0",
        "status": "CURRENT",
        "version": env!("CARGO_PKG_VERSION"),
        "links": [{ "rel": "self", "href": "/v2/" }],
    })
}

/// `GET /`
pub(crate) async fn list() -> HttpResponse {
    HttpResponse::MultipleChoices().json(json!({ "versions": [version()] }))
}

/// `GET /v2`
pub(crate) async fn show() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "version": version() }))
}
