use std::time::Duration;

/// A question that got no answer over the bus. All but [`BusError::Protocol`] pass with time.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// None of the brokers can be reached.
    #[error("no message broker can be reached")]
    NotConnected(#[source] lapin::Error),
    /// The certificates for the broker's TLS cannot be read.
    #[error("cannot read the CA file of the message bus, {path}")]
    CaFile {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("lost the message broker while {doing}")]
    Lost {
        /// What was under way.
        doing: &'static str,
        /// What the client library says, if it said something.
        #[source]
        source: Option<lapin::Error>,
    },
    /// This program ends.
    #[error("stopping")]
    Stopped,
    /// No datamover listens under this name.
    #[error("no datamover listens on host {host}")]
    NobodyListens {
        /// Who was asked.
        host: String,
    },
    /// Time is up.
    #[error("the datamover on {host} did not answer within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// Who was asked.
        host: String,
        /// How long.
        waited: Duration,
    },
    /// The other end speaks another contract.
    #[error("the datamover on {host} and this program do not understand each other: {message}")]
    Protocol {
        /// Who was asked.
        host: String,
        /// What was not understood.
        message: String,
    },
}
