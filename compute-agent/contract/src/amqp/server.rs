//! A datamover's end: answers what its host is asked, and tells that it is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use services_foundation::error_chain::ErrorChain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{connect, lost, send};
use super::envelope::{Reply, Request};
use super::heartbeat::Heartbeat;
use super::seen::Seen;
use super::settings::queue_of;
use super::{BusError, BusSettings};
use crate::{Answer, HostStatus, Question};

const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// Questions under way at a time; more wait at the broker.
const PREFETCH: u16 = 32;
/// A queue that nobody listens to goes after this time: the host is gone.
const QUEUE_EXPIRES_MILLIS: i64 = 30 * 60 * 1000;
/// How long answers under way may take when the program is told to stop.
const DRAIN: Duration = Duration::from_secs(3);

/// What answers; must not block.
#[async_trait]
pub trait Responder: Send + Sync + 'static {
    /// The answer to one question; the same question may come again, also while this one is under way.
    async fn answer(&self, question: Question) -> Answer;
    /// What the heartbeats tell.
    fn status(&self) -> HostStatus;
}

/// Serves one host until `stop`; connects again whenever the connection breaks. Only one process may
/// serve a host: a second one waits until the first is gone.
pub async fn serve(
    settings: BusSettings,
    host: &str,
    responder: Arc<dyn Responder>,
    stop: CancellationToken,
) {
    let server = Server {
        settings,
        host: host.to_owned(),
        responder,
        seen: Mutex::default(),
    };
    let server = Arc::new(server);
    while !stop.is_cancelled() {
        if let Err(error) = server.live(&stop).await {
            tracing::warn!("message bus: {}", ErrorChain(&error));
            stop.run_until_cancelled(tokio::time::sleep(RECONNECT_PAUSE))
                .await;
        }
    }
}

struct Server {
    settings: BusSettings,
    host: String,
    responder: Arc<dyn Responder>,
    seen: Mutex<Seen>,
}

impl Server {
    async fn live(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), BusError> {
        let name = format!("backstay-datamover {}", self.host);
        let connected = stop
            .run_until_cancelled(connect(&self.settings, &name))
            .await;
        let Some(connected) = connected else {
            return Ok(());
        };
        let (connection, channel) = connected?;
        let mut questions = self.listen(&channel).await?;
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat_interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let under_way = TaskTracker::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = heartbeat.tick() => self.tell(&channel, self.responder.status()).await?,
                delivery = questions.next() => match delivery {
                    Some(Ok(delivery)) => self.take(&channel, delivery, &under_way).await?,
                    Some(Err(error)) => return Err(lost("waiting for questions")(error)),
                    None => return Err(BusError::Lost { doing: "waiting for questions", source: None }),
                },
            }
        }
        let options = BasicCancelOptions::default();
        let cancel = channel.basic_cancel(questions.tag(), options);
        cancel.await.map_err(lost("saying goodbye"))?;
        under_way.close();
        if tokio::time::timeout(DRAIN, under_way.wait()).await.is_err() {
            tracing::warn!("stopping with questions unanswered; they will be asked again");
        }
        self.tell(
            &channel,
            HostStatus {
                is_alive: false,
                ..self.responder.status()
            },
        )
        .await?;
        connection
            .close(200, "stopping".into())
            .await
            .map_err(lost("saying goodbye"))
    }

    async fn listen(&self, channel: &Channel) -> Result<Consumer, BusError> {
        let queue = queue_of(&self.host);
        // Gone with its listener, so that a question to a dead host is returned at once; `durable`
        // only because brokers are about to refuse shared queues that are not.
        let options = QueueDeclareOptions {
            durable: true,
            auto_delete: true,
            ..Default::default()
        };
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-expires".into(),
            AMQPValue::LongLongInt(QUEUE_EXPIRES_MILLIS),
        );
        channel
            .queue_declare(queue.as_str().into(), options, arguments)
            .await
            .map_err(lost("declaring the host's queue"))?;
        channel
            .queue_bind(
                queue.as_str().into(),
                self.settings.exchange.as_str().into(),
                queue.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(lost("binding the host's queue"))?;
        let prefetch = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        prefetch.await.map_err(lost("limiting questions"))?;
        let options = BasicConsumeOptions {
            exclusive: true,
            ..Default::default()
        };
        channel
            .basic_consume(
                queue.as_str().into(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await
            .map_err(lost(
                "listening to the host's queue (is there a second datamover?)",
            ))
    }

    async fn tell(&self, channel: &Channel, status: HostStatus) -> Result<(), BusError> {
        let request = Request::new(&Heartbeat::HostStatus { status }, None);
        match request.and_then(|request| request.to_bytes()) {
            Ok(bytes) => send(channel, &self.settings.heartbeat_exchange(), "", &bytes).await,
            Err(error) => {
                tracing::error!("cannot write a heartbeat: {}", ErrorChain(&error));
                Ok(())
            }
        }
    }

    /// Acknowledges when the answer is sent, so that a question is not lost with this process; what
    /// the broker then delivers again to a process that answered already is dropped by its id.
    async fn take(
        self: &Arc<Self>,
        channel: &Channel,
        delivery: Delivery,
        under_way: &TaskTracker,
    ) -> Result<(), BusError> {
        let request = match Request::from_bytes(&delivery.data) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!("a question that is none: {}", ErrorChain(&error));
                return acknowledge(&delivery).await;
            }
        };
        if let Some(id) = &request.unique_id
            && !self
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_new(id)
        {
            tracing::debug!(
                method = request.method,
                "dropped a question that came twice"
            );
            return acknowledge(&delivery).await;
        }
        let (server, channel) = (self.clone(), channel.clone());
        under_way.spawn(async move {
            if let Err(error) = server.reply(&channel, request, &delivery).await {
                tracing::warn!("an answer was lost: {}", ErrorChain(&error));
            }
        });
        Ok(())
    }

    async fn reply(
        &self,
        channel: &Channel,
        mut request: Request,
        delivery: &Delivery,
    ) -> Result<(), BusError> {
        let reply_to = request.reply_to.take();
        let answer = match request.body::<Question>() {
            Ok(question) => Ok(self.responder.answer(question).await),
            Err(message) => Err(message),
        };
        let Some(to) = reply_to else {
            return acknowledge(delivery).await;
        };
        let answer = answer.and_then(|a| serde_json::to_value(a).map_err(|e| e.to_string()));
        let reply = match answer {
            Ok(result) => Reply::result(&to, result),
            Err(message) => {
                tracing::warn!("a question was not understood: {message}");
                Reply::failure(&to, &message)
            }
        };
        match reply.to_bytes() {
            Ok(bytes) => send(channel, "", &to.queue, &bytes).await?,
            Err(error) => tracing::error!("cannot write an answer: {}", ErrorChain(&error)),
        }
        acknowledge(delivery).await
    }
}

async fn acknowledge(delivery: &Delivery) -> Result<(), BusError> {
    let done = delivery.ack(BasicAckOptions::default()).await;
    done.map(|_| ()).map_err(lost("acknowledging a question"))
}
