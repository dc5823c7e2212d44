//! The engine's side of the datamover API.

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

use crate::{
    ConnectionId, ConnectionRequest, ConnectionStatus, Connector, FreezeOutcome, FreezeRequest,
    HostStatus, PointEnd, PointId, PointRequest, PointStatus, Refusal, RefusalKind, ServerDisks,
    TransferId, TransferRequest, TransferStatus,
};

/// A question that was not answered with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The datamover, or the API before it, said no.
    #[error("the datamover on {host} refused")]
    Refused {
        /// Who was asked.
        host: String,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// No answer, or not one of the contract: the same question may be asked again.
    #[error("no answer from the datamover API")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token is not accepted, or has not the service role.
    #[error("the datamover API does not accept our token (HTTP {0})")]
    Denied(u16),
}

impl ClientError {
    /// Asking again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { refusal, .. } => refusal.kind == RefusalKind::Unreachable,
            Self::Denied(_) => false,
        }
    }

    /// Why it was refused, if it was.
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.kind),
            _ => None,
        }
    }
}

/// What the engine asks; the flow tests put their own datamover behind it.
#[async_trait]
pub trait DatamoverClient: Send + Sync {
    /// All datamovers that were ever heard of by the API.
    async fn hosts(&self) -> Result<Vec<HostStatus>, ClientError>;
    /// Starts a transfer, or finds it under way.
    async fn transfer_start(
        &self,
        host: &str,
        id: TransferId,
        request: &TransferRequest,
    ) -> Result<TransferStatus, ClientError>;
    /// How far it is.
    async fn transfer_show(
        &self,
        host: &str,
        id: TransferId,
    ) -> Result<TransferStatus, ClientError>;
    /// Stops it and drops what it made; one that is not there is success.
    async fn transfer_cancel(
        &self,
        host: &str,
        id: TransferId,
        epoch: i64,
    ) -> Result<(), ClientError>;
    /// Freezes a guest, or finds it frozen under this id.
    async fn freeze_start(
        &self,
        host: &str,
        id: Uuid,
        request: &FreezeRequest,
    ) -> Result<FreezeOutcome, ClientError>;
    /// Thaws a guest; one that is not frozen is success.
    async fn freeze_end(&self, host: &str, id: Uuid) -> Result<FreezeOutcome, ClientError>;
    /// What disks a server has; it must be on that host.
    async fn server_disks(&self, host: &str, server_id: Uuid) -> Result<ServerDisks, ClientError>;
    /// Takes a point in time of a server's own disks, or finds it taken.
    async fn point_take(
        &self,
        host: &str,
        id: PointId,
        request: &PointRequest,
    ) -> Result<PointStatus, ClientError>;
    /// Ends a point; one that is not there is success.
    async fn point_end(&self, host: &str, id: PointId, end: PointEnd) -> Result<(), ClientError>;
    /// What Cinder must know of the host to export a volume to it.
    async fn connector(&self, host: &str) -> Result<Connector, ClientError>;
    /// Connects a volume to the host, or finds it connected.
    async fn connection_open(
        &self,
        host: &str,
        id: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<ConnectionStatus, ClientError>;
    /// Disconnects it; one that is not connected is success.
    async fn connection_close(
        &self,
        host: &str,
        id: ConnectionId,
        epoch: i64,
    ) -> Result<(), ClientError>;
}

/// Where a service token comes from: asked before every request, so that an expired one is replaced.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token of a user with the service role.
    async fn token(&self) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>>;

    /// The last one was not accepted, although its time has not come: revoked, or Keystone's keys are
    /// new. Who can log in again does.
    async fn renewed_token(
        &self,
    ) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> {
        self.token().await
    }
}

/// The datamover API over HTTP.
pub struct HttpDatamover {
    http: reqwest::Client,
    base: Url,
    tokens: Arc<dyn TokenSource>,
}

impl HttpDatamover {
    /// `base` is the endpoint from the catalog, `http://controller:8784/v2`.
    pub fn new(http: reqwest::Client, base: Url, tokens: Arc<dyn TokenSource>) -> Self {
        Self { http, base, tokens }
    }

    fn address(&self, segments: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ClientError::Unreachable("the endpoint is no base URL".into()))?
            .pop_if_empty()
            .extend(segments);
        Ok(url)
    }

    fn request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder, ClientError> {
        Ok(self.http.request(method, self.address(segments)?))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        host: &str,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let token = self.tokens.token().await;
        let again = request.try_clone();
        let mut answer = send(request, &token.map_err(ClientError::Unreachable)?).await?;
        if let (StatusCode::UNAUTHORIZED, Some(again)) = (answer.status(), again) {
            let token = self.tokens.renewed_token().await;
            answer = send(again, &token.map_err(ClientError::Unreachable)?).await?;
        }
        let status = answer.status();
        if status.is_success() {
            return answer
                .json()
                .await
                .map_err(|e| ClientError::Unreachable(e.into()));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(ClientError::Denied(status.as_u16()));
        }
        match answer.json::<Refusal>().await {
            Ok(refusal) => Err(ClientError::Refused {
                host: host.to_owned(),
                refusal,
            }),
            Err(error) => Err(ClientError::Unreachable(error.into())),
        }
    }
}

async fn send(
    request: RequestBuilder,
    token: &SecretString,
) -> Result<reqwest::Response, ClientError> {
    let request = request.header("X-Auth-Token", token.expose_secret());
    let sent = request.send().await;
    sent.map_err(|e| ClientError::Unreachable(e.into()))
}

#[async_trait]
impl DatamoverClient for HttpDatamover {
    async fn hosts(&self) -> Result<Vec<HostStatus>, ClientError> {
        self.ask("-", self.request(Method::GET, &["hosts"])?).await
    }

    async fn transfer_start(
        &self,
        host: &str,
        id: TransferId,
        request: &TransferRequest,
    ) -> Result<TransferStatus, ClientError> {
        let put = self.request(Method::PUT, &["hosts", host, "transfers", &id.to_string()])?;
        self.ask(host, put.json(request)).await
    }

    async fn transfer_show(
        &self,
        host: &str,
        id: TransferId,
    ) -> Result<TransferStatus, ClientError> {
        self.ask(
            host,
            self.request(Method::GET, &["hosts", host, "transfers", &id.to_string()])?,
        )
        .await
    }

    async fn transfer_cancel(
        &self,
        host: &str,
        id: TransferId,
        epoch: i64,
    ) -> Result<(), ClientError> {
        let delete = self
            .request(
                Method::DELETE,
                &["hosts", host, "transfers", &id.to_string()],
            )?
            .query(&[("epoch", epoch)]);
        match self.ask::<TransferStatus>(host, delete).await {
            Ok(_) => Ok(()),
            Err(error) if error.refusal() == Some(RefusalKind::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn freeze_start(
        &self,
        host: &str,
        id: Uuid,
        request: &FreezeRequest,
    ) -> Result<FreezeOutcome, ClientError> {
        let put = self.request(Method::PUT, &["hosts", host, "freezes", &id.to_string()])?;
        self.ask(host, put.json(request)).await
    }

    async fn freeze_end(&self, host: &str, id: Uuid) -> Result<FreezeOutcome, ClientError> {
        self.ask(
            host,
            self.request(Method::DELETE, &["hosts", host, "freezes", &id.to_string()])?,
        )
        .await
    }

    async fn server_disks(&self, host: &str, server_id: Uuid) -> Result<ServerDisks, ClientError> {
        let server_id = server_id.to_string();
        let segments = ["hosts", host, "servers", &server_id, "disks"];
        self.ask(host, self.request(Method::GET, &segments)?).await
    }

    async fn point_take(
        &self,
        host: &str,
        id: PointId,
        request: &PointRequest,
    ) -> Result<PointStatus, ClientError> {
        let put = self.request(Method::PUT, &["hosts", host, "points", &id.to_string()])?;
        self.ask(host, put.json(request)).await
    }

    async fn point_end(&self, host: &str, id: PointId, end: PointEnd) -> Result<(), ClientError> {
        let delete = self.request(Method::DELETE, &["hosts", host, "points", &id.to_string()])?;
        self.ask(host, delete.query(&end)).await
    }

    async fn connector(&self, host: &str) -> Result<Connector, ClientError> {
        self.ask(
            host,
            self.request(Method::GET, &["hosts", host, "connector"])?,
        )
        .await
    }

    async fn connection_open(
        &self,
        host: &str,
        id: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<ConnectionStatus, ClientError> {
        let put = self.request(
            Method::PUT,
            &["hosts", host, "connections", &id.to_string()],
        )?;
        self.ask(host, put.json(request)).await
    }

    async fn connection_close(
        &self,
        host: &str,
        id: ConnectionId,
        epoch: i64,
    ) -> Result<(), ClientError> {
        let delete = self.request(
            Method::DELETE,
            &["hosts", host, "connections", &id.to_string()],
        )?;
        self.ask(host, delete.query(&[("epoch", epoch)])).await
    }
}
