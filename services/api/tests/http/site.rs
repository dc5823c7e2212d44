//! A site of its own for each test, and its users. Every answer is checked for what holds of all.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use services_api::settings::Settings;
use services_api::{Shared, listen};
use services_db::Datastore;
use services_keystone::{Keystone, RetryPolicy, Session};
use services_openstack::Cloud;
use services_openstack::fake::{Account, FakeCloud};
use services_openstack::ports::NewServer;
use services_types::ServerId;

/// Small, so that tests of it are quick.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A running API.
pub(crate) struct Site {
    pub(crate) cloud: FakeCloud,
    pub(crate) datastore: Datastore,
    pub(crate) url: String,
    http: reqwest::Client,
    server: actix_web::dev::ServerHandle,
    /// Method and path without its query of every request that was done.
    pub(crate) done: Arc<Mutex<Vec<(String, String)>>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        // Stopping goes on in the server's own threads: its future need not be waited for.
        drop(self.server.stop(false));
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let cloud = FakeCloud::start().unwrap();
        let mut settings = Settings {
            database: SecretString::from("sqlite::memory:"),
            keystone: cloud.settings(Account::Service).unwrap(),
            trustee_roles: vec!["member".to_owned(), "creator".to_owned()],
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            workers: NonZeroUsize::MIN,
            max_body_bytes: MAX_BODY_BYTES,
            target_id: Some("main".to_owned()),
            policy_file: None,
        };
        change(&mut settings);
        let shared = Shared::open(&settings).await.unwrap();
        let (server, addresses) = listen(&shared, &settings).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            cloud,
            datastore: shared.datastore,
            url: format!("http://{}", addresses[0]),
            http: reqwest::Client::new(),
            server: handle,
            done: Arc::default(),
        }
    }

    /// The user of that name, in the project of that name.
    pub(crate) async fn user(&self, name: &str) -> User<'_> {
        let settings = self.cloud.settings_of(name, name).unwrap();
        self.user_of(settings).await
    }

    pub(crate) async fn tenant(&self) -> User<'_> {
        self.user_of(self.cloud.settings(Account::Tenant).unwrap())
            .await
    }

    pub(crate) async fn stranger(&self) -> User<'_> {
        self.user_of(self.cloud.settings(Account::Stranger).unwrap())
            .await
    }

    pub(crate) async fn admin(&self) -> User<'_> {
        self.user_of(self.cloud.settings(Account::Service).unwrap())
            .await
    }

    async fn user_of(&self, settings: services_keystone::KeystoneSettings) -> User<'_> {
        let session = Keystone::new(settings).unwrap().service_session();
        let identity = session.identity().await.unwrap();
        User {
            site: self,
            token: Some(session.token().await.unwrap().expose_secret().to_owned()),
            project_id: identity.project_id.unwrap(),
            user_id: identity.user_id,
            session: Some(session),
        }
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> User<'_> {
        User {
            site: self,
            token: None,
            project_id: "p-1".to_owned(),
            user_id: String::new(),
            session: None,
        }
    }
}

/// Somebody at a site.
#[derive(Clone)]
pub(crate) struct User<'a> {
    pub(crate) site: &'a Site,
    pub(crate) token: Option<String>,
    pub(crate) project_id: String,
    pub(crate) user_id: String,
    pub(crate) session: Option<Session>,
}

/// An answer, looked through.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of what was done.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The message of a refusal.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, fault: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let (name, fields) = self.body.as_object().unwrap().iter().next().unwrap();
        assert_eq!(name, fault, "{}", self.body);
        fields["message"].as_str().unwrap().to_owned()
    }
}

impl User<'_> {
    /// The path below the user's own project.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("/v1/{}/{below}", self.project_id)
    }

    pub(crate) async fn get(&self, below: &str) -> Answer {
        self.send(Method::GET, &self.path(below), None).await
    }

    pub(crate) async fn delete(&self, below: &str) -> Answer {
        self.send(Method::DELETE, &self.path(below), None).await
    }

    pub(crate) async fn post(&self, below: &str, body: Value) -> Answer {
        self.send(Method::POST, &self.path(below), Some(body.to_string()))
            .await
    }

    pub(crate) async fn post_nothing(&self, below: &str) -> Answer {
        self.send(Method::POST, &self.path(below), None).await
    }

    pub(crate) async fn put(&self, below: &str, body: Value) -> Answer {
        self.send(Method::PUT, &self.path(below), Some(body.to_string()))
            .await
    }

    /// Any request, with any text for a body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = self
            .site
            .http
            .request(method.clone(), format!("{}{path}", self.site.url));
        if let Some(token) = &self.token {
            request = request.header("X-Auth-Token", token);
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}")),
        };
        if status.is_success() {
            let path = path.split('?').next().unwrap().to_owned();
            self.site
                .done
                .lock()
                .unwrap()
                .push((method.to_string(), path));
        }
        let answer = Answer {
            status: status.as_u16(),
            headers,
            body,
        };
        holds_of_all(status, &answer);
        answer
    }

    pub(crate) async fn as_cloud(&self) -> Arc<dyn Cloud> {
        let session = self.session.clone().unwrap();
        services_openstack::connect(session, RetryPolicy::default())
            .await
            .unwrap()
    }

    /// A server in the user's project.
    pub(crate) async fn server(&self, name: &str) -> ServerId {
        let cloud = self.as_cloud().await;
        let flavor = cloud.compute().flavors().await.unwrap().remove(0);
        let new = NewServer {
            name: name.to_owned(),
            flavor_id: flavor.id.unwrap(),
            port_ids: Vec::new(),
            disks: Vec::new(),
            key_name: None,
            metadata: BTreeMap::new(),
            availability_zone: None,
            user_data: None,
            has_config_drive: false,
        };
        cloud.compute().server_create(&new).await.unwrap()
    }

    /// The metadata of a server of the user's.
    pub(crate) async fn server_metadata(&self, id: &ServerId) -> BTreeMap<String, String> {
        self.as_cloud()
            .await
            .compute()
            .server_fetch(id)
            .await
            .unwrap()
            .metadata
    }

    /// A workload of these servers, without a schedule; its id.
    pub(crate) async fn workload(&self, name: &str, servers: &[&ServerId]) -> String {
        let made = self
            .post("workloads", new_workload(name, servers))
            .await
            .ok(202);
        made["workload"]["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn new_workload(name: &str, servers: &[&ServerId]) -> Value {
    let instances: Vec<Value> = servers
        .iter()
        .map(|id| json!({ "instance-id": id.as_str() }))
        .collect();
    json!({ "workload": {
        "name": name,
        "description": "made by a test",
        "source_platform": "openstack",
        "instances": instances,
        "jobschedule": { "enabled": false },
    } })
}

#[track_caller]
fn holds_of_all(status: StatusCode, answer: &Answer) {
    let id = answer
        .headers
        .get("X-Compute-Request-Id")
        .expect("no request id")
        .to_str()
        .unwrap();
    let uuid = id
        .strip_prefix("req-")
        .expect("a request id begins with req-");
    assert_eq!(uuid.len(), 36, "{id}");
    moments_have_six_digits(&answer.body);
    if status.is_client_error() || status.is_server_error() {
        let faults = answer.body.as_object().expect("a refusal without a body");
        assert_eq!(faults.len(), 1, "{}", answer.body);
        let fault = faults.values().next().unwrap();
        assert_eq!(fault["code"], status.as_u16(), "{}", answer.body);
        assert!(
            !fault["message"].as_str().unwrap().is_empty(),
            "{}",
            answer.body
        );
    }
}

#[track_caller]
fn moments_have_six_digits(value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(moments_have_six_digits),
        Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Some(text)) = (key.ends_with("_at"), value.as_str()) {
                    let shape: String = text
                        .chars()
                        .map(|c| if c.is_ascii_digit() { '0' } else { c })
                        .collect();
                    assert_eq!(shape, "0000-00-00T00:00:00.000000", "{key}: {text}");
                }
                moments_have_six_digits(value);
            }
        }
        _ => {}
    }
}
