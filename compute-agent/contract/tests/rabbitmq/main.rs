//! The bus against a real RabbitMQ, its restart, and a Python peer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_contract::amqp::{
    BusClient, BusError, BusSettings, PrivateBroker, Responder, TransportUrl, serve,
};
use agent_contract::{
    Answer, HostStatus, Question, TransferId, TransferProgress, TransferState, TransferStatus,
};
use async_trait::async_trait;
use chrono::Utc;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(40);

/// Answers every question about a transfer with its id, and counts.
#[derive(Default)]
struct Echo {
    asked: AtomicU32,
}

#[async_trait]
impl Responder for Echo {
    async fn answer(&self, question: Question) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let Question::TransferShow { id } = question else {
            panic!("only shows are asked here");
        };
        Answer::Transfer(status(id))
    }

    fn status(&self) -> HostStatus {
        HostStatus {
            host: "compute1".into(),
            version: "0.1".into(),
            is_alive: true,
            last_heard_at: Utc::now(),
            targets: vec!["nfs1".into()],
            active_transfers: self.asked.load(Ordering::SeqCst),
        }
    }
}

fn status(id: TransferId) -> TransferStatus {
    TransferStatus {
        id,
        epoch: 1,
        state: TransferState::Queued,
        progress: TransferProgress::default(),
    }
}

fn settings(url: &str) -> BusSettings {
    BusSettings {
        heartbeat_interval: Duration::from_millis(200),
        ..BusSettings::new(url.parse::<TransportUrl>().unwrap())
    }
}

fn question() -> (Question, Answer) {
    let id = TransferId(Uuid::new_v4());
    (Question::TransferShow { id }, Answer::Transfer(status(id)))
}

struct Ends {
    client: BusClient,
    echo: Arc<Echo>,
    server: tokio::task::JoinHandle<()>,
    stop_server: CancellationToken,
    stop: tokio_util::sync::DropGuard,
}

fn start_ends(url: &str) -> Ends {
    let (stop, stop_server) = (CancellationToken::new(), CancellationToken::new());
    let echo = Arc::new(Echo::default());
    let (responder, stop_it) = (echo.clone(), stop_server.clone());
    let settings_of_server = settings(url);
    let server = tokio::spawn(async move {
        serve(settings_of_server, "compute1", responder, stop_it).await;
    });
    let client = BusClient::start(settings(url), "test", stop.clone());
    Ends {
        client,
        echo,
        server,
        stop_server,
        stop: stop.drop_guard(),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < limit, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Ends {
    async fn until_heard(&self) {
        until("the heartbeat", || {
            self.client.hosts().iter().any(|h| h.is_alive)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_and_a_host_is_known_while_it_beats() {
    let broker = PrivateBroker::start().unwrap();
    // The first broker of the list is dead.
    let url = broker
        .transport_url()
        .replacen("rabbit://", "rabbit://u:p@127.0.0.1:1,", 1);
    let ends = start_ends(&url);
    ends.until_heard().await;
    let (question, expected) = question();
    assert_eq!(
        ends.client
            .ask("compute1", &question, PATIENCE)
            .await
            .unwrap(),
        expected
    );

    let error = ends
        .client
        .ask("compute2", &question, PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::NobodyListens { .. }), "{error:?}");

    ends.stop_server.cancel();
    ends.server.await.unwrap();
    until("the goodbye", || {
        ends.client.hosts().iter().all(|h| !h.is_alive)
    })
    .await;
    let error = ends
        .client
        .ask("compute1", &question, PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::NobodyListens { .. }), "{error:?}");
    drop(ends.stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_find_the_broker_again_after_it_was_killed() {
    let mut broker = PrivateBroker::start().unwrap();
    let ends = start_ends(&broker.transport_url());
    ends.until_heard().await;
    for _ in 0..2 {
        broker.kill().unwrap();
        until("the loss", || !ends.client.is_connected()).await;
        let (question, expected) = question();
        let short = ends
            .client
            .ask("compute1", &question, Duration::from_millis(100))
            .await;
        assert!(
            matches!(
                short,
                Err(BusError::NoAnswer { .. } | BusError::Lost { .. })
            ),
            "{short:?}"
        );
        // Asked while the broker is away, answered when it and the host are back.
        let client = ends.client.clone();
        let asked = tokio::spawn(async move {
            loop {
                match client.ask("compute1", &question, PATIENCE).await {
                    Err(BusError::NobodyListens { .. }) => tokio::task::yield_now().await,
                    other => return other,
                }
            }
        });
        broker.start_again().unwrap();
        assert_eq!(asked.await.unwrap().unwrap(), expected);
    }
    ends.until_heard().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_stopped_says_so_at_once() {
    let stop = CancellationToken::new();
    let client = BusClient::start(settings("rabbit://127.0.0.1:1"), "test", stop.clone());
    stop.cancel();
    let error = client
        .ask("compute1", &question().0, PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::Stopped), "{error:?}");
}

/// Debian's own interpreter: oslo.messaging comes with the distribution.
async fn python(script: &str, arguments: &[&str]) -> tokio::process::Child {
    let mut child = tokio::process::Command::new("/usr/bin/python3")
        .arg("-")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .await
        .unwrap();
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_program_can_ask_and_is_answered_once_for_a_message_that_came_twice() {
    let broker = PrivateBroker::start().unwrap();
    let ends = start_ends(&broker.transport_url());
    ends.until_heard().await;
    let id = Uuid::new_v4().to_string();
    let child = python(include_str!("ask.py"), &[&broker.transport_url(), &id]).await;
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("answer {id}")), "{text}");
    assert!(text.contains("failure RemoteError"), "{text}");
    // One call, and one cast that the script sent twice under one id.
    until("the cast", || ends.echo.asked.load(Ordering::SeqCst) >= 2).await;
    let (question, _) = question();
    ends.client
        .ask("compute1", &question, PATIENCE)
        .await
        .unwrap();
    assert_eq!(ends.echo.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_understands_our_questions() {
    let broker = PrivateBroker::start().unwrap();
    let stop = CancellationToken::new();
    let client = BusClient::start(settings(&broker.transport_url()), "test", stop.clone());
    let _server = python(include_str!("answer.py"), &[&broker.transport_url()]).await;
    let (question, expected) = question();
    let limit = tokio::time::Instant::now() + PATIENCE;
    let answer = loop {
        match client.ask("python1", &question, PATIENCE).await {
            Err(BusError::NobodyListens { .. }) if tokio::time::Instant::now() < limit => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => break other.unwrap(),
        }
    };
    assert_eq!(answer, expected);
    stop.cancel();
}
