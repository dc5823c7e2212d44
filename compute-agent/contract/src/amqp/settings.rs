use std::time::Duration;

use super::TransportUrl;

/// How to take part in the bus; both ends must have the same exchange.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// The brokers.
    pub url: TransportUrl,
    /// Name of the topic exchange; the names of all else begin with it.
    pub exchange: String,
    /// How often a datamover tells that it is there. One that was silent for four times as long
    /// counts as dead.
    pub heartbeat_interval: Duration,
}

impl BusSettings {
    /// Our own exchange and a heartbeat every five seconds.
    pub fn new(url: TransportUrl) -> Self {
        Self {
            url,
            exchange: "backstay".to_owned(),
            heartbeat_interval: Duration::from_secs(5),
        }
    }

    pub(super) fn heartbeat_exchange(&self) -> String {
        format!("{}.heartbeats", self.exchange)
    }

    pub(super) fn silence_limit(&self) -> Duration {
        self.heartbeat_interval * 4
    }
}

/// Queue and routing key of one host, as oslo.messaging names a server of topic `datamover`.
pub(super) fn queue_of(host: &str) -> String {
    format!("datamover.{host}")
}
