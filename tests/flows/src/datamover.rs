//! The real datamover, asked in this process instead of over HTTP and the message bus.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_contract::amqp::{BusSettings, Responder};
use agent_contract::{
    Answer, ClientError, ConnectionId, ConnectionRequest, ConnectionStatus, Connector,
    DatamoverClient, FreezeOutcome, FreezeRequest, HostStatus, PointEnd, PointId, PointRequest,
    PointStatus, Question, ServerDisks, TransferId, TransferRequest, TransferStatus,
};
use agent_datamover::{CephSettings, Datamover, Settings, TargetSettings, TransferSettings};
use async_trait::async_trait;
use uuid::Uuid;

/// The datamover of the fake cloud's only host.
pub struct LocalDatamover {
    responder: Arc<dyn Responder>,
    _datamover: Datamover,
}

impl LocalDatamover {
    /// What the target is called in messages.
    pub const TARGET: &'static str = "main";
    /// The fake cloud's compute host.
    pub const HOST: &'static str = "fake-compute";

    /// Starts it; `volumes` is the folder whose files it may read and write.
    pub(crate) fn start(
        folder: &Path,
        target: &Path,
        volumes: &Path,
        rate_limit_bytes_per_second: Option<u64>,
    ) -> Arc<Self> {
        // Never connected to: the bus is what this stands in for.
        let nowhere = "rabbit://nobody:none@127.0.0.1:1/".parse().unwrap();
        let settings = Settings {
            host: Self::HOST.to_owned(),
            state_path: folder.join("datamover"),
            bus: BusSettings::new(nowhere),
            ceph: CephSettings {
                pools: Vec::new(),
                conf: None,
                user: None,
            },
            // Knows none of the fake cloud's servers, and says so at once.
            libvirt_uri: "test:///default".to_owned(),
            targets: vec![TargetSettings {
                id: Self::TARGET.to_owned(),
                path: target.to_owned(),
            }],
            transfers: TransferSettings {
                workers: 2,
                rate_limit_bytes_per_second,
                checkpoint_interval: Duration::from_millis(200),
            },
            raw_allowed_paths: vec![volumes.to_owned()],
        };
        let datamover = Datamover::start(&settings).unwrap();
        Arc::new(Self {
            responder: datamover.responder(),
            _datamover: datamover,
        })
    }

    async fn ask(&self, question: Question) -> Result<Answer, ClientError> {
        match self.responder.answer(question).await {
            Answer::Refused(refusal) => Err(ClientError::Refused {
                host: Self::HOST.to_owned(),
                refusal,
            }),
            answer => Ok(answer),
        }
    }

    async fn ask_about_transfer(&self, question: Question) -> Result<TransferStatus, ClientError> {
        match self.ask(question).await? {
            Answer::Transfer(status) => Ok(status),
            other => panic!("an answer about a transfer was expected: {other:?}"),
        }
    }

    async fn ask_about_freeze(&self, question: Question) -> Result<FreezeOutcome, ClientError> {
        match self.ask(question).await? {
            Answer::Freeze(outcome) => Ok(outcome),
            other => panic!("an answer about a freeze was expected: {other:?}"),
        }
    }

    async fn ask_until_done(&self, question: Question) -> Result<(), ClientError> {
        match self.ask(question).await? {
            Answer::Done => Ok(()),
            other => panic!("nothing but the end was expected: {other:?}"),
        }
    }
}

#[async_trait]
impl DatamoverClient for LocalDatamover {
    async fn hosts(&self) -> Result<Vec<HostStatus>, ClientError> {
        Ok(vec![self.responder.status()])
    }

    async fn transfer_start(
        &self,
        _host: &str,
        id: TransferId,
        request: &TransferRequest,
    ) -> Result<TransferStatus, ClientError> {
        self.ask_about_transfer(Question::TransferStart {
            id,
            request: request.clone(),
        })
        .await
    }

    async fn transfer_show(
        &self,
        _host: &str,
        id: TransferId,
    ) -> Result<TransferStatus, ClientError> {
        self.ask_about_transfer(Question::TransferShow { id }).await
    }

    async fn transfer_cancel(
        &self,
        _host: &str,
        id: TransferId,
        epoch: i64,
    ) -> Result<(), ClientError> {
        match self
            .ask_about_transfer(Question::TransferCancel { id, epoch })
            .await
        {
            Err(error) if error.refusal() == Some(agent_contract::RefusalKind::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn freeze_start(
        &self,
        _host: &str,
        id: Uuid,
        request: &FreezeRequest,
    ) -> Result<FreezeOutcome, ClientError> {
        self.ask_about_freeze(Question::FreezeStart {
            id,
            request: request.clone(),
        })
        .await
    }

    async fn freeze_end(&self, _host: &str, id: Uuid) -> Result<FreezeOutcome, ClientError> {
        self.ask_about_freeze(Question::FreezeEnd { id }).await
    }

    async fn server_disks(&self, _host: &str, server_id: Uuid) -> Result<ServerDisks, ClientError> {
        match self.ask(Question::ServerDisks { server_id }).await? {
            Answer::ServerDisks(disks) => Ok(disks),
            other => panic!("an answer about a server's disks was expected: {other:?}"),
        }
    }

    async fn point_take(
        &self,
        _host: &str,
        id: PointId,
        request: &PointRequest,
    ) -> Result<PointStatus, ClientError> {
        let request = request.clone();
        match self.ask(Question::PointTake { id, request }).await? {
            Answer::Point(status) => Ok(status),
            other => panic!("an answer about a point was expected: {other:?}"),
        }
    }

    async fn point_end(&self, _host: &str, id: PointId, end: PointEnd) -> Result<(), ClientError> {
        self.ask_until_done(Question::PointEnd { id, end }).await
    }

    async fn connector(&self, _host: &str) -> Result<Connector, ClientError> {
        match self.ask(Question::Connector {}).await? {
            Answer::Connector(connector) => Ok(connector),
            other => panic!("a connector was expected: {other:?}"),
        }
    }

    async fn connection_open(
        &self,
        _host: &str,
        id: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<ConnectionStatus, ClientError> {
        let request = request.clone();
        match self.ask(Question::ConnectionOpen { id, request }).await? {
            Answer::Connection(status) => Ok(status),
            other => panic!("an answer about a connection was expected: {other:?}"),
        }
    }

    async fn connection_close(
        &self,
        _host: &str,
        id: ConnectionId,
        epoch: i64,
    ) -> Result<(), ClientError> {
        self.ask_until_done(Question::ConnectionClose { id, epoch })
            .await
    }
}
