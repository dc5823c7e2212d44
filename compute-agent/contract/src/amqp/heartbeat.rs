//! "I am here": what a datamover tells of itself, and the table in which the datamover API keeps it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::envelope::Request;
use crate::HostStatus;

/// On the bus, in the shape of oslo.messaging's casts.
#[derive(Serialize, Deserialize)]
#[serde(tag = "method", content = "args", rename_all = "snake_case")]
pub(super) enum Heartbeat {
    HostStatus { status: HostStatus },
}

/// All datamovers heard of, by this process's clock: the hosts' own may be wrong.
#[derive(Default)]
pub(super) struct HostTable {
    hosts: Mutex<BTreeMap<String, HostStatus>>,
}

impl HostTable {
    /// Keeps what the message tells, if it is a heartbeat.
    pub(super) fn hear(&self, bytes: &[u8], now: DateTime<Utc>) -> Result<(), String> {
        let request = Request::from_bytes(bytes).map_err(|error| error.to_string())?;
        let Heartbeat::HostStatus { mut status } = request.body()?;
        status.last_heard_at = now;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(status.host.clone(), status);
        Ok(())
    }

    /// By name; who says of itself that it goes, or was silent for too long, is not alive.
    pub(super) fn list(&self, now: DateTime<Utc>, silence_limit: Duration) -> Vec<HostStatus> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let seen_now = |status: &HostStatus| {
            let silence = now.signed_duration_since(status.last_heard_at).to_std();
            let is_silent = silence.is_ok_and(|silence| silence > silence_limit);
            HostStatus {
                is_alive: status.is_alive && !is_silent,
                ..status.clone()
            }
        };
        hosts.values().map(seen_now).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{TimeDelta, Utc};

    use super::{Heartbeat, HostTable};
    use crate::HostStatus;
    use crate::amqp::envelope::Request;

    #[test]
    fn a_host_is_alive_until_it_was_silent_for_too_long() {
        let table = HostTable::default();
        let now = Utc::now();
        let status = HostStatus {
            host: "c1".into(),
            version: "1".into(),
            is_alive: true,
            last_heard_at: now - TimeDelta::days(1),
            targets: vec![],
            active_transfers: 0,
        };
        let request = Request::new(&Heartbeat::HostStatus { status }, None).unwrap();
        table.hear(&request.to_bytes().unwrap(), now).unwrap();
        let alive = |after| {
            let later = now + TimeDelta::seconds(after);
            table
                .list(later, Duration::from_secs(20))
                .first()
                .unwrap()
                .is_alive
        };
        assert!(alive(0) && alive(20) && alive(-5));
        assert!(!alive(21));
    }

    #[test]
    fn other_messages_are_no_heartbeats() {
        assert!(HostTable::default().hear(b"{}", Utc::now()).is_err());
    }
}
