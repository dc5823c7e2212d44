//! The datamover API's end: asks one host, keeps what the hosts tell of themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Consumer};
use services_foundation::error_chain::ErrorChain;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::{connect, json_properties, lost};
use super::envelope::{Reply, ReplyTo, Request, new_id};
use super::heartbeat::HostTable;
use super::settings::queue_of;
use super::{BusError, BusSettings};
use crate::{Answer, HostStatus, Question};

/// Much longer than a host takes for an answer that needs no guest.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A broker may refuse as fast as it is asked.
const LOST_PAUSE: Duration = Duration::from_millis(100);
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

type Waiting = HashMap<String, oneshot::Sender<Reply>>;

/// Asks datamovers over the bus. Cheap to clone; all clones share one connection, which a task of
/// its own keeps up until the token given at the start is cancelled.
#[derive(Clone)]
pub struct BusClient {
    shared: Arc<Shared>,
    session: watch::Receiver<Option<Session>>,
}

struct Shared {
    settings: BusSettings,
    waiting: Mutex<Waiting>,
    hosts: HostTable,
}

/// One life of the connection.
#[derive(Clone)]
struct Session {
    channel: Channel,
    reply_queue: String,
}

impl BusClient {
    /// Begins to connect and returns at once. Must be called inside a tokio runtime.
    pub fn start(settings: BusSettings, name: &str, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            settings,
            waiting: Mutex::default(),
            hosts: HostTable::default(),
        });
        let (sender, session) = watch::channel(None);
        let (keeper, name) = (shared.clone(), name.to_owned());
        tokio::spawn(async move {
            let keep = keeper.keep_connected(&name, &sender);
            stop.run_until_cancelled(keep).await;
        });
        Self { shared, session }
    }

    /// A broker is connected now.
    pub fn is_connected(&self) -> bool {
        self.session.borrow().is_some()
    }

    /// All datamovers heard of since the start.
    pub fn hosts(&self) -> Vec<HostStatus> {
        self.shared
            .hosts
            .list(Utc::now(), self.shared.settings.silence_limit())
    }

    /// Asks, and asks again until `patience` ends: over a new connection if the first one breaks, and
    /// whenever nothing came back for a while, since a question that a dying datamover has taken is
    /// lost with it.
    pub async fn ask(
        &self,
        host: &str,
        question: &Question,
        patience: Duration,
    ) -> Result<Answer, BusError> {
        let deadline = Instant::now() + patience;
        let mut error = BusError::NoAnswer {
            host: host.to_owned(),
            waited: patience,
        };
        loop {
            let until = deadline.min(Instant::now() + ASK_AGAIN_AFTER);
            let attempt = self.attempt(host, question, until);
            match tokio::time::timeout_at(until, attempt).await {
                Err(_) if until == deadline => return Err(error),
                Err(_) => {}
                Ok(Err(broken @ BusError::Lost { .. })) if until < deadline => {
                    error = broken;
                    tokio::time::sleep_until(until.min(Instant::now() + LOST_PAUSE)).await;
                }
                Ok(result) => return result,
            }
        }
    }

    async fn attempt(
        &self,
        host: &str,
        question: &Question,
        deadline: Instant,
    ) -> Result<Answer, BusError> {
        let stopped = || BusError::Stopped;
        let mut session_watch = self.session.clone();
        let session = session_watch
            .wait_for(Option::is_some)
            .await
            .map_err(|_| stopped())?
            .clone();
        let Some(session) = session else {
            return Err(stopped());
        };
        let message_id = new_id();
        let (sender, reply) = oneshot::channel();
        let _registered = self.shared.register(&message_id, sender);
        let reply_to = ReplyTo {
            message_id,
            queue: session.reply_queue.clone(),
        };
        publish(
            &self.shared.settings,
            &session.channel,
            host,
            question,
            reply_to,
            deadline,
        )
        .await?;
        tokio::select! {
            reply = reply => answer(host, reply.map_err(|_| stopped())?),
            _ = session_watch.changed() => {
                Err(BusError::Lost { doing: "waiting for the answer", source: None })
            }
        }
    }
}

async fn publish(
    settings: &BusSettings,
    channel: &Channel,
    host: &str,
    question: &Question,
    reply_to: ReplyTo,
    deadline: Instant,
) -> Result<(), BusError> {
    let protocol = |error: super::envelope::EnvelopeError| BusError::Protocol {
        host: host.to_owned(),
        message: error.to_string(),
    };
    let bytes = Request::new(question, Some(reply_to))
        .and_then(|r| r.to_bytes())
        .map_err(protocol)?;
    // Whoever comes back after that has nobody left to answer.
    let expiration = deadline
        .saturating_duration_since(Instant::now())
        .as_millis()
        .max(1);
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let confirmation = channel
        .basic_publish(
            settings.exchange.as_str().into(),
            queue_of(host).into(),
            options,
            &bytes,
            json_properties().with_expiration(expiration.to_string().into()),
        )
        .await
        .map_err(lost("sending a question"))?
        .await
        .map_err(lost("sending a question"))?;
    match confirmation {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        Confirmation::Ack(Some(_)) => Err(BusError::NobodyListens {
            host: host.to_owned(),
        }),
        Confirmation::Nack(_) => Err(BusError::Lost {
            doing: "sending a question",
            source: None,
        }),
    }
}

fn answer(host: &str, reply: Reply) -> Result<Answer, BusError> {
    let message = match reply.failure_message() {
        Some(message) => message,
        None => match serde_json::from_value(reply.result) {
            Ok(answer) => return Ok(answer),
            Err(error) => error.to_string(),
        },
    };
    Err(BusError::Protocol {
        host: host.to_owned(),
        message,
    })
}

/// Forgets the question when the asker is gone, whatever the reason.
struct Registered<'a> {
    shared: &'a Shared,
    message_id: String,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.message_id);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, message_id: &str, sender: oneshot::Sender<Reply>) -> Registered<'_> {
        self.lock().insert(message_id.to_owned(), sender);
        Registered {
            shared: self,
            message_id: message_id.to_owned(),
        }
    }

    async fn keep_connected(&self, name: &str, session: &watch::Sender<Option<Session>>) {
        loop {
            let Err(error) = self.live(name, session).await;
            session.send_replace(None);
            tracing::warn!("message bus: {}", ErrorChain(&error));
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn live(
        &self,
        name: &str,
        session: &watch::Sender<Option<Session>>,
    ) -> Result<std::convert::Infallible, BusError> {
        // Dropping the connection would end it.
        let (_connection, channel) = connect(&self.settings, name).await?;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        confirm.await.map_err(lost("asking for confirmations"))?;
        let (reply_queue, mut replies) = own_queue(&channel, "reply").await?;
        let (heartbeat_queue, mut heartbeats) = own_queue(&channel, "heartbeats").await?;
        channel
            .queue_bind(
                heartbeat_queue.into(),
                self.settings.heartbeat_exchange().into(),
                "".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(lost("listening for heartbeats"))?;
        session.send_replace(Some(Session {
            channel,
            reply_queue,
        }));
        loop {
            tokio::select! {
                reply = replies.next() => self.hand_over(&received(reply, "waiting for answers")?),
                heartbeat = heartbeats.next() => {
                    let heartbeat = received(heartbeat, "listening for heartbeats")?;
                    if let Err(error) = self.hosts.hear(&heartbeat, Utc::now()) {
                        tracing::warn!("a heartbeat that is none: {error}");
                    }
                }
            }
        }
    }

    fn hand_over(&self, bytes: &[u8]) {
        match Reply::from_bytes(bytes) {
            Ok(reply) if reply.is_last() => {
                // One that nobody waits for any more comes after the asker's patience has ended.
                let waiting = self.lock().remove(&reply.message_id);
                if waiting.is_none_or(|waiting| waiting.send(reply).is_err()) {
                    tracing::debug!("an answer came too late");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("an answer that is none: {}", ErrorChain(&error)),
        }
    }
}

fn received(
    delivery: Option<lapin::Result<lapin::message::Delivery>>,
    doing: &'static str,
) -> Result<Vec<u8>, BusError> {
    match delivery {
        Some(Ok(delivery)) => Ok(delivery.data),
        Some(Err(error)) => Err(lost(doing)(error)),
        None => Err(BusError::Lost {
            doing,
            source: None,
        }),
    }
}

/// A queue that lives as long as this connection, under a name that no other process has.
async fn own_queue(channel: &Channel, purpose: &str) -> Result<(String, Consumer), BusError> {
    let name = format!("{purpose}_{}", new_id());
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..Default::default()
    };
    channel
        .queue_declare(name.as_str().into(), options, FieldTable::default())
        .await
        .map_err(lost("declaring a queue"))?;
    let options = BasicConsumeOptions {
        no_ack: true,
        exclusive: true,
        ..Default::default()
    };
    let consumer = channel
        .basic_consume(
            name.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        )
        .await
        .map_err(lost("listening to a queue"))?;
    Ok((name, consumer))
}
