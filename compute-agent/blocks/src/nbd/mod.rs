//! A small NBD client: what a backup needs of the protocol, and nothing it does not.
//!
//! Fixed newstyle handshake without TLS over a unix socket or TCP, structured and simple replies, several
//! requests in flight, meta contexts for block status. The server is not trusted: every length and
//! offset it sends is checked against what was asked for, memory is only taken for lengths of our own
//! choice or below fixed bounds, and each wait has a limit.
//!
//! | file | |
//! |---|---|
//! | `socket`, `stream` | where a server listens; no wait without an end |
//! | `connection` | requests out, answers in, by cookie |
//! | `handshake`, `reply` | bytes of the server, pure over `Read` |
//! | `pending`, `coverage` | answers put together out of their pieces |
//! | `status` | walking the block status of a disk |
//! | `reader`, `sink` | pipelines over several connections |
//! | `endpoint`, `source` | an export as a disk |
//! | `server` | the other side, read-only |

mod connection;
mod coverage;
pub(crate) mod endpoint;
mod error;
mod export;
mod handshake;
pub(crate) mod layered;
mod pending;
mod protocol;
mod reader;
mod replay;
mod reply;
pub mod server;
mod sink;
mod socket;
pub(crate) mod source;
mod status;
mod stream;
pub(crate) mod tracked;
mod wire;

pub use connection::{ConnectOptions, Connection, Cookie, ZeroOptions};
pub use endpoint::Endpoint;
pub use error::NbdError;
pub use export::{BlockSizes, Export};
pub use pending::{Reply, StatusRange};
pub use protocol::{Command, Operation, TransmissionFlags};
pub use replay::{replay_handshake, replay_replies};
pub use socket::Socket;
pub use status::{BASE_ALLOCATION, StatusExtent, StatusWalk};
