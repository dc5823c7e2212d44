//! HTTP: one listener for all services, told apart by the first segment of the path.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::controls::Effect;
use super::state::State;
use super::{cinder, glance, keystone, neutron, nova};

pub(super) type Shared = Arc<Mutex<State>>;

/// A request, taken apart.
pub(super) struct Call {
    pub(super) method: String,
    /// Below the service's root.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) token: Option<String>,
    pub(super) subject_token: Option<String>,
    pub(super) body: Value,
}

impl Call {
    /// Method and path, to match on.
    pub(super) fn route(&self) -> (&str, Vec<&str>) {
        (
            &self.method,
            self.segments.iter().map(String::as_str).collect(),
        )
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }

    /// An object of texts, such as metadata.
    pub(super) fn object(&self, pointer: &str) -> Value {
        self.body
            .pointer(pointer)
            .filter(|v| v.is_object())
            .cloned()
            .unwrap_or_else(|| json!({}))
    }
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) subject_token: Option<String>,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            subject_token: None,
        }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(super) fn done() -> Self {
        Self::new(204, Value::Null)
    }

    /// As Nova, Cinder and Keystone word a refusal.
    pub(super) fn fault(status: u16, name: &str, message: impl Into<String>) -> Self {
        Self::new(
            status,
            json!({ name: { "code": status, "message": message.into() } }),
        )
    }

    fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((
            "x-openstack-request-id",
            format!("req-{}", uuid::Uuid::new_v4()),
        ));
        if let Some(token) = self.subject_token {
            response.insert_header(("X-Subject-Token", token));
        }
        if self.body.is_null() {
            response.finish()
        } else {
            response.json(self.body)
        }
    }
}

pub(super) type Outcome = Result<Reply, Reply>;

pub(super) fn locked(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves on a free port, in threads of its own: tests may have any runtime, or none.
pub(super) fn start(
    make: impl FnOnce(SocketAddr) -> State,
) -> std::io::Result<(SocketAddr, Shared, ServerHandle)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let shared: Shared = Arc::new(Mutex::new(make(address)));
    let data = web::Data::from(Arc::clone(&shared));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                App::new()
                    .app_data(data.clone())
                    .default_service(web::to(answer))
            };
            let server = HttpServer::new(app)
                .workers(1)
                .disable_signals()
                .shutdown_timeout(1)
                .listen(listener);
            let running = server.map(actix_web::HttpServer::run);
            let handle = running.as_ref().map(actix_web::dev::Server::handle).ok();
            // The receiver waits for exactly this.
            drop(sender.send(handle));
            if let Ok(running) = running {
                drop(running.await);
            }
        });
    });
    let handle = receiver.recv().ok().flatten();
    let handle = handle.ok_or_else(|| std::io::Error::other("the fake cloud did not start"))?;
    Ok((address, shared, handle))
}

async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    let effect = locked(&state).effect_on(request.method().as_str(), request.path());
    match effect {
        Some(Effect::Status(status)) => return injected(status).into_response(),
        Some(Effect::Delay(delay)) => pause(delay).await,
        Some(Effect::DoneButStatus(status)) => {
            dispatch(&request, &body, &state);
            return injected(status).into_response();
        }
        None => {}
    }
    dispatch(&request, &body, &state).into_response()
}

async fn pause(delay: Duration) {
    actix_web::rt::time::sleep(delay).await;
}

fn injected(status: u16) -> Reply {
    Reply::fault(
        status,
        "injectedFault",
        "This failure was asked for by a test.",
    )
}

fn dispatch(request: &HttpRequest, body: &[u8], state: &Mutex<State>) -> Reply {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok());
        value.map(str::to_owned)
    };
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let mut segments = request
        .path()
        .split('/')
        .filter(|s| !s.is_empty())
        .map(unescaped);
    let service = segments.next().unwrap_or_default();
    let _version = segments.next();
    let call = Call {
        method: request.method().as_str().to_owned(),
        segments: segments.collect(),
        query: query.map(web::Query::into_inner).unwrap_or_default(),
        token: header("X-Auth-Token"),
        subject_token: header("X-Subject-Token"),
        body: serde_json::from_slice(body).unwrap_or_default(),
    };
    let outcome = route(&mut locked(state), &service, call);
    outcome.unwrap_or_else(|refusal| refusal)
}

fn route(state: &mut State, service: &str, mut call: Call) -> Outcome {
    if service == "identity" {
        return keystone::answer(state, &call);
    }
    let who = state
        .who(call.token.as_deref())
        .ok_or_else(keystone::unauthorized)?;
    match service {
        "compute" => nova::answer(state, &who, &call),
        "volume" => {
            // Cinder's URLs name the project.
            if call.segments.is_empty() || call.segments.remove(0) != who.project_id {
                return Err(Reply::fault(400, "badRequest", "Malformed request url"));
            }
            cinder::answer(state, &who, &call)
        }
        "image" => glance::answer(state, &call),
        "network" => neutron::answer(state, &who, &call),
        _ => Err(Reply::fault(404, "itemNotFound", "no such service")),
    }
}

fn unescaped(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    let parsed = url::form_urlencoded::parse(pair.as_bytes()).next();
    parsed
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
