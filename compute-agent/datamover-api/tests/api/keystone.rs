//! A Keystone that knows three tokens, for as long as it is not told to be down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{Data, Json};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

pub(crate) struct FakeKeystone {
    pub(crate) url: String,
    pub(crate) is_down: Arc<AtomicBool>,
}

fn token(user: &str, role: &str) -> Value {
    json!({ "token": {
        "user": {"id": user, "name": user},
        "project": {"id": "p", "name": "service"},
        "roles": [{"id": "r", "name": role}],
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "catalog": [],
    }})
}

async fn log_in(down: Data<AtomicBool>, _: Json<Value>) -> HttpResponse {
    if down.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let mut answer = HttpResponse::Created();
    answer
        .insert_header(("X-Subject-Token", "our-own"))
        .json(token("datamover", "service"))
}

async fn validate(down: Data<AtomicBool>, request: HttpRequest) -> HttpResponse {
    if down.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let subject = request
        .headers()
        .get("X-Subject-Token")
        .unwrap()
        .to_str()
        .unwrap();
    match subject {
        "of-service" => HttpResponse::Ok().json(token("engine", "service")),
        "of-tenant" => HttpResponse::Ok().json(token("alice", "member")),
        _ => HttpResponse::NotFound().finish(),
    }
}

impl FakeKeystone {
    pub(crate) fn start() -> Self {
        let is_down = Arc::new(AtomicBool::new(false));
        let shared = is_down.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::from(shared.clone()))
                .route("/v3/auth/tokens", web::post().to(log_in))
                .route("/v3/auth/tokens", web::get().to(validate))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}/v3", server.addrs().first().unwrap());
        tokio::spawn(server.run());
        Self { url, is_down }
    }
}
