//! The contract on the message bus: both ends of it, over RabbitMQ.
//!
//! | what | where |
//! |---|---|
//! | a question | topic exchange `backstay`, routing key and queue `datamover.<host>`, expires with its asker's patience |
//! | its answer | the asker's own queue, through the default exchange |
//! | "I am here" | fanout exchange `backstay.heartbeats`, to each datamover API that listens |
//!
//! The envelope is oslo.messaging's 2.0, so that operators' tools can read it and a Python program can
//! ask. A broker may go away at any moment: both ends connect again, to the next broker of the URL, and
//! declare all anew. Every question may be asked twice; a message that the broker delivers twice is
//! answered once.

mod client;
mod connection;
mod envelope;
mod error;
mod heartbeat;
#[cfg(feature = "test-support")]
mod private_broker;
mod seen;
mod server;
mod settings;
#[cfg(feature = "test-support")]
mod shared_broker;
mod transport_url;

pub use client::BusClient;
pub use error::BusError;
#[cfg(feature = "test-support")]
pub use private_broker::PrivateBroker;
pub use server::{Responder, serve};
pub use settings::BusSettings;
#[cfg(feature = "test-support")]
pub use shared_broker::SharedBroker;
pub use transport_url::{TransportUrl, TransportUrlError};
