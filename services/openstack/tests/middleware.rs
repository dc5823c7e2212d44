//! Who gets past the middleware, and what the others are told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, test, web};
use secrecy::ExposeSecret;
use serde_json::Value;
use services_keystone::{Caller, Keystone, Refusal, TokenValidator, authenticate};
use services_openstack::fake::{Account, Effect, FakeCloud, Fault};

async fn whoami(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().body(caller.info.user_name.clone())
}

async fn for_services(caller: Caller) -> Result<HttpResponse, Refusal> {
    caller.require_role("service")?;
    Ok(HttpResponse::Ok().finish())
}

fn keystone(fake: &FakeCloud, account: Account) -> Keystone {
    Keystone::new(fake.settings(account).unwrap()).unwrap()
}

async fn token(fake: &FakeCloud, account: Account) -> String {
    let token = keystone(fake, account)
        .service_session()
        .token()
        .await
        .unwrap();
    token.expose_secret().to_owned()
}

async fn ask(
    fake: &FakeCloud,
    path: &str,
    token: Option<&str>,
) -> ServiceResponse<impl actix_web::body::MessageBody + use<>> {
    let validator = Arc::new(TokenValidator::new(
        &keystone(fake, Account::Service),
        Duration::ZERO,
    ));
    let app = App::new()
        .app_data(web::Data::from(validator))
        .route("/open", web::get().to(whoami))
        .service(
            web::scope("/v1")
                .wrap(from_fn(authenticate))
                .route("/whoami", web::get().to(whoami))
                .route("/services", web::get().to(for_services)),
        );
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::get().uri(path);
    if let Some(token) = token {
        request = request.insert_header(("X-Auth-Token", token));
    }
    match test::try_call_service(&app, request.to_request()).await {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => {
            let request = test::TestRequest::get().uri(path).to_http_request();
            ServiceResponse::new(request, error.error_response())
        }
    }
}

#[actix_web::test]
async fn a_handler_learns_who_calls() {
    let fake = FakeCloud::start().unwrap();
    let token = token(&fake, Account::Tenant).await;
    let response = ask(&fake, "/v1/whoami", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(test::read_body(response).await, "demo");
}

#[actix_web::test]
async fn without_a_good_token_openstacks_401_is_given() {
    let fake = FakeCloud::start().unwrap();
    for token in [None, Some("gAAAAABbad"), Some("")] {
        let response = ask(&fake, "/v1/whoami", token).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response
            .headers()
            .get("WWW-Authenticate")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            challenge.starts_with("Keystone uri=\"http://127.0.0.1:"),
            "{challenge}"
        );
        let body: Value = test::read_body_json(response).await;
        assert_eq!(
            (
                body["error"]["code"].as_u64(),
                body["error"]["title"].as_str()
            ),
            (Some(401), Some("Unauthorized"))
        );
    }
}

#[actix_web::test]
async fn without_keystone_nobody_is_let_in() {
    let fake = FakeCloud::start().unwrap();
    let token = token(&fake, Account::Tenant).await;
    fake.inject(Fault::on("GET", "/auth/tokens", Effect::Status(503)).times(usize::MAX));
    let response = ask(&fake, "/v1/whoami", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("Retry-After"));
}

#[actix_web::test]
async fn a_tenant_is_not_a_service() {
    let fake = FakeCloud::start().unwrap();
    let tenant = token(&fake, Account::Tenant).await;
    assert_eq!(
        ask(&fake, "/v1/services", Some(&tenant)).await.status(),
        StatusCode::FORBIDDEN
    );
    let service = token(&fake, Account::Service).await;
    assert_eq!(
        ask(&fake, "/v1/services", Some(&service)).await.status(),
        StatusCode::OK
    );
}

#[actix_web::test]
async fn a_path_that_forgot_the_middleware_lets_nobody_in() {
    let fake = FakeCloud::start().unwrap();
    let token = token(&fake, Account::Tenant).await;
    let response = ask(&fake, "/open", Some(&token)).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
