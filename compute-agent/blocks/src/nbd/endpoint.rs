//! An export with all that is needed to connect to it again.

use std::{path::PathBuf, sync::Arc};

use super::{
    connection::{ConnectOptions, Connection},
    reader::NbdReader,
    sink::NbdSink,
    socket::Address,
};
use crate::{BlocksError, DiskReader, DiskSink, ErrorKind, Settings, qemu_nbd::QemuNbd};

/// Where an export is served. Clones, readers and sinks keep a server of ours running; a bare
/// [`Connection`] does not.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The disk's name in errors.
    what: String,
    address: Address,
    export_name: String,
    settings: Settings,
    server: Option<Arc<QemuNbd>>,
}

impl Endpoint {
    /// An export that somebody else serves, for instance libvirt.
    pub fn at(socket: impl Into<PathBuf>, export_name: &str, settings: &Settings) -> Self {
        Self::served_at(Address::Unix(socket.into()), export_name, settings)
    }

    /// The same over TCP, at `HOST:PORT`. Nothing is encrypted: for networks that are trusted.
    pub fn at_tcp(address: impl Into<String>, export_name: &str, settings: &Settings) -> Self {
        Self::served_at(Address::Tcp(address.into()), export_name, settings)
    }

    fn served_at(address: Address, export_name: &str, settings: &Settings) -> Self {
        Self {
            what: format!("NBD export {export_name:?} at {address}"),
            address,
            export_name: export_name.to_owned(),
            settings: settings.clone(),
            server: None,
        }
    }

    /// An export that our own child serves.
    pub fn of_server(server: QemuNbd, what: impl Into<String>, settings: &Settings) -> Self {
        Self {
            what: what.into(),
            address: Address::Unix(server.socket()),
            export_name: String::new(),
            settings: settings.clone(),
            server: Some(Arc::new(server)),
        }
    }

    /// Connects once; for what readers and sinks do not offer.
    pub fn connect(&self, contexts: &[&str]) -> Result<Connection, BlocksError> {
        let options = ConnectOptions {
            export_name: self.export_name.clone(),
            contexts: contexts
                .iter()
                .map(|context| (*context).to_owned())
                .collect(),
            handshake_timeout: self.settings.start_timeout,
            io_timeout: self.settings.io_timeout,
        };
        Connection::connect(&self.address, &options).map_err(|error| {
            let stderr = self
                .server
                .as_ref()
                .map(|server| server.stderr())
                .unwrap_or_default();
            let told = if stderr.is_empty() {
                stderr
            } else {
                format!(" (its server says: {stderr})")
            };
            error.while_doing(format!("{}{told}", self.doing("connect to")))
        })
    }

    /// Opens a reader; `fragments` as in [`Connection::send_read`].
    pub fn open_reader(&self, fragments: bool) -> Result<Box<dyn DiskReader>, BlocksError> {
        Ok(Box::new(NbdReader::new(
            self.connections()?,
            fragments,
            self.clone(),
        )))
    }

    /// Opens a sink.
    pub fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        let connections = self.connections()?;
        if connections
            .iter()
            .any(|connection| connection.export().flags.is_read_only())
        {
            let doing = self.doing("write to the read-only");
            return Err(BlocksError::new(ErrorKind::Denied, doing));
        }
        Ok(Box::new(NbdSink::new(
            connections,
            self.clone(),
            self.settings.write_window,
        )))
    }

    fn connections(&self) -> Result<Vec<Connection>, BlocksError> {
        let first = self.connect(&[])?;
        let shares = first.export().flags.has_multi_conn();
        let wanted = if shares { self.settings.connections } else { 1 };
        let mut connections = vec![first];
        while connections.len() < wanted {
            connections.push(self.connect(&[])?);
        }
        Ok(connections)
    }

    pub(super) fn doing(&self, verb: &str) -> String {
        format!("{verb} {}", self.what)
    }

    pub(super) fn unconnected(&self) -> BlocksError {
        BlocksError::new(ErrorKind::Unavailable, self.doing("use no connection to"))
    }
}
