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
//!
//! Asking twice is asking once: a transfer's id is its identity, and the same id with other
//! parameters is refused. Every request carries the epoch of the claim it is made under; a host that
//! has seen a newer one refuses it (architecture D10). Targets are named by id, never by credentials.

#[cfg(feature = "amqp")]
pub mod amqp;
mod client;
mod error;
mod freeze;
mod host;
mod rpc;
mod transfer;

pub use client::{ClientError, DatamoverClient, HttpDatamover, TokenSource};
pub use error::{Refusal, RefusalKind};
pub use freeze::{FreezeOutcome, FreezeRequest};
pub use host::HostStatus;
pub use rpc::{Answer, Question};
pub use transfer::{
    BackupJob, DiskLocation, ImageFacts, ImagePlace, RemoveJob, RestoreJob, TransferId,
    TransferJob, TransferOutcome, TransferProgress, TransferRequest, TransferState, TransferStatus,
};
