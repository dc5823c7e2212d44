//! The API as a client sees it: a fake Keystone behind it, and hosts that are fake or on a real bus.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod keystone;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use agent_contract::amqp::{PrivateBroker, Responder};
use agent_contract::{
    Answer, ClientError, ConnectionId, ConnectionRequest, ConnectionStatus, Connector,
    DatamoverClient, FreezeOutcome, FreezeRequest, HostStatus, HttpDatamover, ImagePlace, PointEnd,
    PointId, PointRequest, PointStatus, Question, Refusal, RefusalKind, RemoveJob, ServerDisks,
    TokenSource, TransferId, TransferJob, TransferProgress, TransferRequest, TransferState,
    TransferStatus,
};
use agent_datamover_api::{Settings, serve};
use async_trait::async_trait;
use keystone::FakeKeystone;
use secrecy::SecretString;
use serde_json::json;
use services_foundation::config::Config;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(40);

struct Token(&'static str);

#[async_trait]
impl TokenSource for Token {
    async fn token(&self) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> {
        Ok(SecretString::from(self.0))
    }
}

/// A host whose transfers are queued for ever and whose guests have no agent.
struct FakeHost;

#[async_trait]
impl Responder for FakeHost {
    async fn answer(&self, question: Question) -> Answer {
        let status = |id, epoch| TransferStatus {
            id,
            epoch,
            state: TransferState::Queued,
            progress: TransferProgress::default(),
        };
        match question {
            Question::TransferStart { id, request } => Answer::Transfer(status(id, request.epoch)),
            Question::TransferShow { .. } => {
                Answer::Refused(Refusal::new(RefusalKind::NotFound, "no such transfer"))
            }
            Question::TransferCancel { epoch: 1, .. } => {
                Answer::Refused(Refusal::new(RefusalKind::Fenced, "epoch 2 was here"))
            }
            Question::TransferCancel { id, epoch } => Answer::Transfer(status(id, epoch)),
            Question::FreezeStart { .. } => Answer::Freeze(FreezeOutcome::NotPossible {
                reason: "no agent".into(),
            }),
            Question::FreezeEnd { .. } => Answer::Freeze(FreezeOutcome::Thawed { in_time: true }),
            Question::ServerDisks { .. } => Answer::ServerDisks(ServerDisks {
                is_running: true,
                disks: Vec::new(),
            }),
            Question::PointTake { id, .. } => Answer::Point(PointStatus {
                id,
                disks: Vec::new(),
            }),
            Question::PointEnd { end, .. } if end.keep_marks && end.epoch == 7 => Answer::Done,
            Question::PointEnd { .. } => {
                Answer::Refused(Refusal::new(RefusalKind::Fenced, "epoch 7 was here"))
            }
            Question::Connector {} => Answer::Connector(Connector(json!({"host": "compute1"}))),
            Question::ConnectionOpen { id, request } => Answer::Connection(ConnectionStatus {
                id,
                size_bytes: request
                    .connection_info
                    .get("size")
                    .unwrap()
                    .as_u64()
                    .unwrap(),
            }),
            Question::ConnectionClose { .. } => Answer::Done,
        }
    }

    fn status(&self) -> HostStatus {
        HostStatus {
            host: "compute1".into(),
            version: "0.1".into(),
            is_alive: true,
            last_heard_at: chrono::Utc::now(),
            targets: vec!["main".into()],
            active_transfers: 0,
        }
    }
}

struct Cloud {
    keystone: FakeKeystone,
    base: String,
    _broker: PrivateBroker,
    _stop: DropGuard,
}

async fn cloud() -> Cloud {
    let (keystone, broker) = (FakeKeystone::start(), PrivateBroker::start().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = format!(
        "[api]\nport = {port}\n[messaging]\ntransport_url = {}\n\
         [keystone]\nauth_url = {}\nusername = datamover\npassword = x\n",
        broker.transport_url(),
        keystone.url
    );
    let config = Config::from_texts([("test.conf".into(), text)], []).unwrap();
    let settings = Settings::from_config(&config).unwrap();
    assert!(config.unknown().is_empty(), "{:?}", config.unknown());
    let stop = CancellationToken::new();
    let (bus, stop_host, stop_api) = (settings.bus.clone(), stop.clone(), stop.clone());
    tokio::spawn(async move {
        agent_contract::amqp::serve(bus, "compute1", Arc::new(FakeHost), stop_host).await;
    });
    tokio::spawn(async move { serve(settings, stop_api).await.unwrap() });
    let base = format!("http://127.0.0.1:{port}");
    let cloud = Cloud {
        keystone,
        base,
        _broker: broker,
        _stop: stop.drop_guard(),
    };
    cloud.until_the_host_is_heard().await;
    cloud
}

impl Cloud {
    fn client(&self, token: &'static str) -> HttpDatamover {
        let base = format!("{}/v2", self.base).parse().unwrap();
        HttpDatamover::new(reqwest::Client::new(), base, Arc::new(Token(token)))
    }

    async fn until_the_host_is_heard(&self) {
        let limit = Instant::now() + LIMIT;
        loop {
            let hosts = self.client("of-service").hosts().await;
            if hosts
                .as_ref()
                .is_ok_and(|hosts| hosts.iter().any(|h| h.is_alive))
            {
                return;
            }
            assert!(Instant::now() < limit, "no host: {hosts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: &str) -> (u16, String) {
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", self.base))
            .header("X-Auth-Token", "of-service")
            .header("Content-Type", "application/json")
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert!(
            answer.headers()["x-openstack-request-id"]
                .to_str()
                .unwrap()
                .starts_with("req-")
        );
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn remove() -> TransferRequest {
    let image = ImagePlace {
        target: "main".into(),
        name: "a/b".into(),
    };
    TransferRequest {
        epoch: 2,
        job: TransferJob::Remove(RemoveJob { image }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_client_reaches_a_host_through_the_api_and_the_bus() {
    let cloud = cloud().await;
    let client = cloud.client("of-service");
    let id = TransferId(Uuid::new_v4());
    let status = client
        .transfer_start("compute1", id, &remove())
        .await
        .unwrap();
    assert_eq!((status.id, status.epoch), (id, 2));
    let error = client.transfer_show("compute1", id).await.unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalKind::NotFound));
    let error = client.transfer_cancel("compute1", id, 1).await.unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalKind::Fenced));
    client.transfer_cancel("compute1", id, 2).await.unwrap();
    let request = FreezeRequest {
        epoch: 1,
        server_id: "s".into(),
        deadline_seconds: 30,
    };
    let outcome = client
        .freeze_start("compute1", id.0, &request)
        .await
        .unwrap();
    assert!(matches!(outcome, FreezeOutcome::NotPossible { .. }));
    let outcome = client.freeze_end("compute1", id.0).await.unwrap();
    assert_eq!(outcome, FreezeOutcome::Thawed { in_time: true });
    let error = client.transfer_show("compute2", id).await.unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalKind::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_users_with_the_service_role_get_in() {
    let cloud = cloud().await;
    for (token, status) in [("of-tenant", 403), ("of-nobody", 401), ("", 401)] {
        let error = cloud.client(token).hosts().await.unwrap_err();
        assert!(
            matches!(error, ClientError::Denied(s) if s == status),
            "{token}: {error:?}"
        );
        let error = cloud
            .client(token)
            .freeze_end("compute1", Uuid::nil())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Denied(s) if s == status),
            "{token}: {error:?}"
        );
    }
    for path in [
        "/v2/hosts",
        "/v2/hosts/compute1/transfers/x",
        "/v2/hosts/nothing",
    ] {
        let answer = reqwest::get(format!("{}{path}", cloud.base)).await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
    cloud.keystone.is_down.store(true, Ordering::SeqCst);
    let error = cloud.client("of-another").hosts().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_in_the_contracts_words() {
    use reqwest::Method;
    let cloud = cloud().await;
    let transfer = format!("/v2/hosts/compute1/transfers/{}", Uuid::nil());
    let large = format!("{{\"epoch\": 1, \"x\": \"{}\"}}", "x".repeat(2 << 20));
    for (method, path, body, expected) in [
        (Method::PUT, transfer.as_str(), "{", 400),
        (Method::PUT, &transfer, "{\"epoch\": 1}", 400),
        (Method::PUT, &transfer, &large, 400),
        (Method::DELETE, &transfer, "", 400),
        (Method::GET, "/v2/hosts/compute1/transfers/x", "", 400),
        (Method::GET, &transfer.replace("compute1", "a%20b"), "", 400),
        (Method::GET, "/v1/anything", "", 404),
    ] {
        let (status, body) = cloud.send(method, path, body).await;
        let refusal: Refusal = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        assert_eq!(
            (status, refusal.kind.status()),
            (expected, expected),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_and_health_are_told_without_a_token() {
    let cloud = cloud().await;
    for (path, status) in [("/", 300), ("/v2", 200), ("/v2/", 200), ("/health", 200)] {
        let answer = reqwest::get(format!("{}{path}", cloud.base)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_points_and_connections_of_a_host_are_asked_for() {
    let cloud = cloud().await;
    cloud.until_the_host_is_heard().await;
    let client = cloud.client("of-service");
    let id = Uuid::from_u128(5);
    let disks = client.server_disks("compute1", id).await.unwrap();
    assert!(disks.is_running);
    let request = PointRequest {
        epoch: 7,
        server_id: id,
        disks: Vec::new(),
    };
    let point = PointId(id);
    let taken = client.point_take("compute1", point, &request).await;
    assert_eq!(taken.unwrap().id, point);
    let end = |epoch, keep_marks| PointEnd { epoch, keep_marks };
    let ended = client.point_end("compute1", point, end(7, true)).await;
    ended.unwrap();
    let fenced = client.point_end("compute1", point, end(7, false)).await;
    assert_eq!(fenced.unwrap_err().refusal(), Some(RefusalKind::Fenced));
    let connector = client.connector("compute1").await.unwrap();
    assert_eq!(connector.0["host"], "compute1");
    let request = ConnectionRequest {
        epoch: 7,
        connection_info: json!({"size": 4096}),
    };
    let connection = ConnectionId(id);
    let open = client
        .connection_open("compute1", connection, &request)
        .await;
    assert_eq!(open.unwrap().size_bytes, 4096);
    let closed = client.connection_close("compute1", connection, 7).await;
    closed.unwrap();
}
