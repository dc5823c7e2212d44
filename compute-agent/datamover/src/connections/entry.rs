use std::path::{Path, PathBuf};

use agent_blocks::qemu_nbd::FileFormat;
use agent_contract::{ConnectionId, ConnectionRequest};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::Volume;

/// Drivers of os-brick whose volumes are files on a share.
const SHARES: [&str; 6] = [
    "nfs",
    "smbfs",
    "glusterfs",
    "vzstorage",
    "quobyte",
    "scality",
];

/// What the journal holds of a connection.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: ConnectionId,
    pub(super) request: ConnectionRequest,
    /// What os-brick told when it connected, and wants to be told when it disconnects.
    pub(super) device_info: Option<Value>,
    pub(super) phase: Phase,
}

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    /// Nothing was begun, and the journal knows nothing of it.
    New,
    /// It may be connected, or half of it.
    Opening,
    /// It is connected.
    Open { path: PathBuf, size_bytes: u64 },
    /// It may be connected yet.
    Closing {
        /// It was never open: nobody need know of it.
        is_forgotten: bool,
    },
    /// It is not.
    Closed { at: DateTime<Utc> },
}

impl Entry {
    pub(super) fn new(id: ConnectionId, request: ConnectionRequest) -> Self {
        Self {
            id,
            request,
            device_info: None,
            phase: Phase::New,
        }
    }

    /// What is at the path. Of a file the format is what Cinder says, else raw: never what it seems to
    /// be, since a guest can make a raw disk look like anything.
    pub(super) fn volume(&self, path: &Path) -> Volume {
        let info = &self.request.connection_info;
        let word = |name: &str| {
            let found = info.get("data").and_then(|data| data.get(name));
            found.or_else(|| info.get(name)).and_then(Value::as_str)
        };
        let path = path.to_owned();
        let is_file = word("driver_volume_type").is_some_and(|d| SHARES.contains(&d));
        if !is_file {
            return Volume::Device { path };
        }
        let format = match word("format") {
            Some("qcow2") => FileFormat::Qcow2,
            _ => FileFormat::Raw,
        };
        Volume::File { path, format }
    }
}
