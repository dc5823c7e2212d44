//! `GET /`

use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::v1::wire::{Link, Links};

/// The versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<Version>,
}

#[derive(Serialize, ToSchema)]
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: Vec<Link>,
}

/// Lists the versions; needs no token.
#[utoipa::path(get, path = "/", tag = "versions", security(()), responses((status = 200, body = Versions)))]
pub(crate) async fn handle(request: HttpRequest) -> web::Json<Versions> {
    let href = format!("{}/v1/", Links::of(&request).root());
    web::Json(Versions {
        versions: vec![Version {
            id: "v1.0",
            status: "CURRENT",
            updated: "2026-11-21T00:00:00Z",
            links: vec![Link { rel: "self", href }],
        }],
    })
}
