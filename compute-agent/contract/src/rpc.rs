//! The same questions on the message bus: what the datamover API sends to one host.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ConnectionId, ConnectionRequest, ConnectionStatus, Connector, FreezeOutcome, FreezeRequest,
    PointEnd, PointId, PointRequest, PointStatus, Refusal, ServerDisks, TransferId,
    TransferRequest, TransferStatus,
};

/// A question to one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "args", rename_all = "snake_case")]
pub enum Question {
    /// Start, or find under way.
    TransferStart {
        /// Which.
        id: TransferId,
        /// What to do.
        request: TransferRequest,
    },
    /// How far it is.
    TransferShow {
        /// Which.
        id: TransferId,
    },
    /// Stop it and drop what it made.
    TransferCancel {
        /// Which.
        id: TransferId,
        /// Claim under which it is asked.
        epoch: i64,
    },
    /// Freeze a guest.
    FreezeStart {
        /// Which freeze.
        id: Uuid,
        /// What to freeze.
        request: FreezeRequest,
    },
    /// Thaw a guest.
    FreezeEnd {
        /// Which freeze.
        id: Uuid,
    },
    /// What disks a server has.
    ServerDisks {
        /// Which server.
        server_id: Uuid,
    },
    /// Take a point in time, or find it taken.
    PointTake {
        /// Which.
        id: PointId,
        /// Of what.
        request: PointRequest,
    },
    /// End it.
    PointEnd {
        /// Which.
        id: PointId,
        /// How.
        end: PointEnd,
    },
    /// What Cinder must know of the host. (With braces: the bus always carries arguments.)
    Connector {},
    /// Connect a volume, or find it connected.
    ConnectionOpen {
        /// Which.
        id: ConnectionId,
        /// How.
        request: ConnectionRequest,
    },
    /// Disconnect a volume; one that is not connected is success.
    ConnectionClose {
        /// Which.
        id: ConnectionId,
        /// Claim under which it is asked.
        epoch: i64,
    },
}

/// What the host answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To the questions about transfers.
    Transfer(TransferStatus),
    /// To the questions about freezes.
    Freeze(FreezeOutcome),
    /// To the question about a server's disks.
    ServerDisks(ServerDisks),
    /// To `point_take`.
    Point(PointStatus),
    /// To `connector`.
    Connector(Connector),
    /// To `connection_open`.
    Connection(ConnectionStatus),
    /// To `point_end` and `connection_close`: it is done.
    Done,
    /// Not carried out.
    Refused(Refusal),
}
