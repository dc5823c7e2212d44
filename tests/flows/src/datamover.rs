//! The real datamover, asked in this process instead of over HTTP and the message bus. What it would ask
//! a hypervisor or os-brick for is answered from the fake cloud's files (`stand_in`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_contract::amqp::Responder;
use agent_contract::{
    Answer, ClientError, ConnectionId, ConnectionRequest, ConnectionStatus, Connector,
    DatamoverClient, FreezeOutcome, FreezeRequest, HostStatus, PointEnd, PointId, PointRequest,
    PointStatus, Question, ServerDisks, TransferId, TransferRequest, TransferStatus,
};
use agent_datamover::{Datamover, Settings};
use async_trait::async_trait;
use services_foundation::config::Config;
use uuid::Uuid;

use crate::stand_in::StandIn;

/// The datamover of the fake cloud's only host.
pub struct LocalDatamover {
    responder: Arc<dyn Responder>,
    host: StandIn,
    _datamover: Datamover,
}

impl LocalDatamover {
    /// What the target is called in messages.
    pub const TARGET: &'static str = "main";
    /// What a second one is called.
    pub const SECOND_TARGET: &'static str = "second";
    /// The fake cloud's compute host.
    pub const HOST: &'static str = "fake-compute";

    /// Starts it; `volumes` is the folder whose files it may read and write.
    pub(crate) fn start(
        folder: &Path,
        targets: &[(&str, &Path)],
        volumes: &Path,
        rate_limit_bytes_per_second: Option<u64>,
    ) -> Arc<Self> {
        // The bus is never connected to: it is what this stands in for. Libvirt's test driver knows none of
        // the fake cloud's servers, and says so at once.
        let targets: String = targets
            .iter()
            .map(|(id, path)| format!("[target:{id}]\npath = {}\n", path.display()))
            .collect();
        let text = format!(
            "[DEFAULT]\nhost = {}\nstate_path = {folder}/datamover\n\
             [messaging]\ntransport_url = rabbit://nobody:none@127.0.0.1:1/\n\
             [libvirt]\nuri = test:///default\n[points]\npath = {folder}/points\n\
             {targets}[transfers]\nrate_limit_bytes_per_second = {}\n\
             [raw]\nallowed_paths = {}\n",
            Self::HOST,
            rate_limit_bytes_per_second.unwrap_or_default(),
            volumes.display(),
            folder = folder.display(),
        );
        let config = Config::from_texts([("datamover.conf".into(), text)], []).unwrap();
        let mut settings = Settings::from_config(&config).unwrap();
        settings.transfers.checkpoint_interval = Duration::from_millis(200);
        let datamover = Datamover::start(&settings).unwrap();
        Arc::new(Self {
            responder: datamover.responder(),
            host: StandIn::new(volumes),
            _datamover: datamover,
        })
    }

    /// Points in time and connections that stand, by name.
    pub fn held(&self) -> Vec<String> {
        self.host.held()
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
        let request = self.host.translated(request)?;
        self.ask_about_transfer(Question::TransferStart { id, request })
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
        self.host.server_disks(server_id)
    }

    async fn point_take(
        &self,
        _host: &str,
        id: PointId,
        request: &PointRequest,
    ) -> Result<PointStatus, ClientError> {
        self.host.point_take(id, request)
    }

    async fn point_end(&self, _host: &str, id: PointId, end: PointEnd) -> Result<(), ClientError> {
        self.host.point_end(id, end);
        Ok(())
    }

    async fn connector(&self, _host: &str) -> Result<Connector, ClientError> {
        Ok(self.host.connector())
    }

    async fn connection_open(
        &self,
        _host: &str,
        id: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<ConnectionStatus, ClientError> {
        self.host.connection_open(id, request)
    }

    async fn connection_close(
        &self,
        _host: &str,
        id: ConnectionId,
        _epoch: i64,
    ) -> Result<(), ClientError> {
        self.host.connection_close(id);
        Ok(())
    }
}
