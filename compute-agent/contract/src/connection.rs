//! Volumes of any Cinder backend, connected to the host by os-brick.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Identity of a connection; the engine derives it from its flow and volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub Uuid);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is asked by `PUT /v2/hosts/{host}/connections/{id}`. It is read and written as
/// `DiskLocation::Connection`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRequest {
    /// Claim under which it is asked.
    pub epoch: i64,
    /// `connection_info` of Cinder's attachment. It may hold secrets: never logged.
    pub connection_info: Value,
}

impl fmt::Debug for ConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = self.connection_info.get("driver_volume_type");
        f.debug_struct("ConnectionRequest")
            .field("epoch", &self.epoch)
            .field("driver_volume_type", &driver)
            .finish_non_exhaustive()
    }
}

/// A volume that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Which.
    pub id: ConnectionId,
    /// The size the host sees.
    pub size_bytes: u64,
}

/// Answer to `GET /v2/hosts/{host}/connector`: what Cinder must know of the host to export a volume to it
/// (`connector` of an attachment).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connector(pub Value);
