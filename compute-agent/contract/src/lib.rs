//! What a datamover can be asked, and what it answers: version 2 of the datamover API.
//!
//! | asked | REST, at the datamover API | AMQP, to one host |
//! |---|---|---|
//! | which hosts are alive | `GET /v2/hosts` | heartbeats |
//! | start a transfer, or find it under way | `PUT /v2/hosts/{host}/transfers/{id}` | `transfer_start` |
//! | how far it is | `GET /v2/hosts/{host}/transfers/{id}` | `transfer_show` |
//! | stop it, drop what it made | `DELETE /v2/hosts/{host}/transfers/{id}?epoch=N` | `transfer_cancel` |
//! | freeze a guest's file systems | `PUT /v2/hosts/{host}/freezes/{id}` | `freeze_start` |
//! | thaw it | `DELETE /v2/hosts/{host}/freezes/{id}` | `freeze_end` |
//! | what disks a server has | `GET /v2/hosts/{host}/servers/{id}/disks` | `server_disks` |
//! | take a point in time of its own disks | `PUT /v2/hosts/{host}/points/{id}` | `point_take` |
//! | end it | `DELETE /v2/hosts/{host}/points/{id}?epoch=N&keep_marks=BOOL` | `point_end` |
//! | what Cinder must know of the host | `GET /v2/hosts/{host}/connector` | `connector` |
//! | connect a volume | `PUT /v2/hosts/{host}/connections/{id}` | `connection_open` |
//! | disconnect it | `DELETE /v2/hosts/{host}/connections/{id}?epoch=N` | `connection_close` |
//!
//! Asking twice is asking once: a transfer's id is its identity, and the same id with other
//! parameters is refused. Every request carries the epoch of the claim it is made under; a host that
//! has seen a newer one refuses it (architecture D10). Targets are named by id, never by credentials.

#[cfg(feature = "amqp")]
pub mod amqp;
mod client;
mod connection;
mod error;
mod freeze;
mod host;
mod point;
mod rpc;
mod server_disk;
mod transfer;

pub use client::{ClientError, DatamoverClient, HttpDatamover, TokenSource};
pub use connection::{ConnectionId, ConnectionRequest, ConnectionStatus, Connector};
pub use error::{Refusal, RefusalKind};
pub use freeze::{FreezeOutcome, FreezeRequest};
pub use host::HostStatus;
pub use point::{PointDisk, PointEnd, PointId, PointRequest, PointStatus, TakenDisk};
pub use rpc::{Answer, Question};
pub use server_disk::{DiskRole, DiskStorage, ServerDisk, ServerDisks};
pub use transfer::{
    BackupJob, DiskLocation, ImageCompression, ImageDigests, ImageFacts, ImagePlace, MergeJob,
    RemoveJob, RestoreJob, TransferId, TransferJob, TransferOutcome, TransferProgress,
    TransferRequest, TransferState, TransferStatus, VerifyJob,
};
