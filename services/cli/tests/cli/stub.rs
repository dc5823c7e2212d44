//! Keystone and the API on one port: answers as told, remembers what was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustls::ServerConfig;
use serde_json::{Value, json};

pub(crate) const PROJECT: &str = "11111111111111111111111111111111";
pub(crate) const PASSWORD: &str = "open-sesame";
pub(crate) const TOKEN_BEGIN: &str = "gAAAA-token-";

/// One request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// `POST /workloads?full=1`, without the part that every path has.
    pub(crate) line: String,
    pub(crate) body: Value,
    pub(crate) token: String,
    pub(crate) project: String,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    body: String,
}

#[derive(Default)]
struct State {
    catalog: Value,
    answers: HashMap<String, VecDeque<Answer>>,
    asked: Vec<Asked>,
    logins: Vec<Value>,
}

/// The server; it ends with this.
pub(crate) struct Stub {
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
    pub(crate) url: String,
}

impl Stub {
    pub(crate) fn start() -> Self {
        Self::serve(None)
    }

    /// The same over HTTPS.
    pub(crate) fn start_tls(tls: ServerConfig) -> Self {
        Self::serve(Some(tls))
    }

    fn serve(tls: Option<ServerConfig>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(&state);
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(Data::new(Arc::clone(&shared)))
                        .default_service(web::to(answer))
                })
                .workers(1)
                .disable_signals();
                let server = match tls {
                    Some(tls) => server.bind_rustls_0_23("127.0.0.1:0", tls),
                    None => server.bind("127.0.0.1:0"),
                }
                .unwrap();
                let address = server.addrs()[0];
                let running = server.run();
                sender.send((address, running.handle())).unwrap();
                running.await.unwrap();
            });
        });
        let (address, handle) = receiver.recv().unwrap();
        let url = format!("{scheme}://{address}");
        let catalog = json!([service("workloads", "backstay", &url)]);
        state.lock().unwrap().catalog = catalog;
        Self { state, handle, url }
    }

    /// What the catalog says instead.
    pub(crate) fn catalog(&self, catalog: Value) {
        self.state.lock().unwrap().catalog = catalog;
    }

    /// Answers this request so, after what was told before; the last answer is repeated.
    pub(crate) fn on(&self, line: &str, status: u16, body: &Value) -> &Self {
        self.on_text(line, status, &body.to_string())
    }

    pub(crate) fn on_text(&self, line: &str, status: u16, body: &str) -> &Self {
        let answer = Answer {
            status,
            body: body.to_owned(),
        };
        self.state
            .lock()
            .unwrap()
            .answers
            .entry(line.to_owned())
            .or_default()
            .push_back(answer);
        self
    }

    /// Everything that the API was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The lines of what the API was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// The bodies of the logins.
    pub(crate) fn logins(&self) -> Vec<Value> {
        self.state.lock().unwrap().logins.clone()
    }

    /// Returns once the API was asked this so often.
    pub(crate) fn wait_for(&self, line: &str, times: usize) {
        let begin = Instant::now();
        while self.lines().iter().filter(|asked| *asked == line).count() < times {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{line} was not asked {times} times"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        // Its thread ends once it has seen this; nobody waits for it.
        drop(self.handle.stop(false));
    }
}

/// A service of the catalog with its public and internal endpoint.
pub(crate) fn service(service_type: &str, name: &str, url: &str) -> Value {
    let endpoint = |interface: &str, region: &str| {
        json!({"id": format!("{interface}-{region}"), "interface": interface, "region": region,
            "region_id": region, "url": format!("{url}/{interface}/{region}/v1/{PROJECT}")})
    };
    json!({"id": name, "type": service_type, "name": name, "endpoints": [
        endpoint("public", "One"), endpoint("internal", "One"), endpoint("public", "Two"),
    ]})
}

async fn answer(request: HttpRequest, body: Bytes, state: Data<Arc<Mutex<State>>>) -> HttpResponse {
    let mut state = state.lock().unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if request.path().starts_with("/v3") {
        return keystone(&request, body, &mut state);
    }
    let line = request
        .uri()
        .to_string()
        .replace(&format!("/public/One/v1/{PROJECT}"), "");
    let line = format!("{} {line}", request.method());
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (token, project) = (header("x-auth-token"), header("x-auth-project-id"));
    state.asked.push(Asked {
        line: line.clone(),
        body,
        token,
        project,
    });
    let missing = json!({"itemNotFound": {"code": 404, "message": format!("{line} is not here.")}});
    let answer = match state.answers.get_mut(&line) {
        Some(answers) if answers.len() > 1 => answers.pop_front(),
        Some(answers) => answers.front().cloned(),
        None => Some(Answer {
            status: 404,
            body: missing.to_string(),
        }),
    }
    .unwrap();
    let content_type = if answer.body.starts_with('<') {
        "text/html"
    } else {
        "application/json"
    };
    HttpResponse::build(StatusCode::from_u16(answer.status).unwrap())
        .content_type(content_type)
        .body(answer.body)
}

fn keystone(request: &HttpRequest, body: Value, state: &mut State) -> HttpResponse {
    if request.path() != "/v3/auth/tokens" {
        return HttpResponse::NotFound().json(json!({"error": {"code": 404, "message": "what?"}}));
    }
    let identity = &body["auth"]["identity"];
    let good = match identity["methods"][0].as_str() {
        Some("password") => identity["password"]["user"]["password"] == PASSWORD,
        Some("application_credential") => identity["application_credential"]["secret"] == PASSWORD,
        Some("token") => identity["token"]["id"] == "given-token",
        _ => false,
    };
    state.logins.push(body);
    if !good {
        return HttpResponse::Unauthorized().json(json!({"error": {"code": 401,
            "message": "The request you have made requires authentication.",
            "title": "Unauthorized"}}));
    }
    let token = format!("{TOKEN_BEGIN}{}", state.logins.len());
    HttpResponse::Created().insert_header(("X-Subject-Token", token)).json(json!({"token": {
        "methods": ["password"], "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2099-01-01T00:00:00.000000Z", "audit_ids": ["a"], "is_domain": false,
        "user": {"id": "u", "name": "demo", "domain": {"id": "default", "name": "Default"},
            "password_expires_at": null},
        "project": {"id": PROJECT, "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "r", "name": "member"}],
        "catalog": state.catalog,
    }}))
}
