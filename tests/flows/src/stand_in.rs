//! Stands in for a compute host's hypervisor and os-brick: the fake cloud's disks are raw files in one
//! folder, so that a point in time is a copy of a file, and a connection is a path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use agent_contract::{
    ClientError, ConnectionId, ConnectionRequest, ConnectionStatus, Connector, DiskLocation,
    DiskRole, DiskStorage, PointDisk, PointEnd, PointId, PointRequest, PointStatus, Refusal,
    RefusalKind, ServerDisk, ServerDisks, TakenDisk, TransferJob, TransferRequest,
};
use serde_json::json;
use uuid::Uuid;

use crate::LocalDatamover;

pub(crate) struct StandIn {
    folder: PathBuf,
    /// Of which server each point is.
    points: Mutex<BTreeMap<PointId, Uuid>>,
    /// What each connection leads to.
    connections: Mutex<BTreeMap<ConnectionId, PathBuf>>,
}

fn refused(kind: RefusalKind, message: &str) -> ClientError {
    ClientError::Refused {
        host: LocalDatamover::HOST.to_owned(),
        refusal: Refusal::new(kind, message),
    }
}

/// The disks of a server have names that say what they are: `server-ID.DEVICE.ROLE`.
fn role_of(word: &str) -> DiskRole {
    match word.strip_prefix("ephemeral") {
        Some(number) => DiskRole::Ephemeral {
            number: number.parse().unwrap(),
        },
        None if word == "root" => DiskRole::Root,
        None => DiskRole::Swap,
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

impl StandIn {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            points: Mutex::default(),
            connections: Mutex::default(),
        }
    }

    /// Points and connections; not marks.
    pub(crate) fn held(&self) -> Vec<String> {
        let mut held = self.names("point-");
        let connections = self.connections.lock().unwrap();
        held.extend(connections.keys().map(|id| format!("connection {id}")));
        held
    }

    fn names(&self, begin: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(begin)).collect();
        names.sort();
        names
    }

    fn disks_of(&self, server_id: Uuid) -> Vec<(String, DiskRole, PathBuf)> {
        let begin = format!("server-{server_id}.");
        let disk = |name: String| {
            let (device, role) = name[begin.len()..].split_once('.').unwrap();
            (device.to_owned(), role_of(role), self.folder.join(&name))
        };
        self.names(&begin).into_iter().map(disk).collect()
    }

    pub(crate) fn server_disks(&self, server_id: Uuid) -> Result<ServerDisks, ClientError> {
        let disks = self.disks_of(server_id);
        if disks.is_empty() {
            return Err(refused(RefusalKind::NotFound, "no such server"));
        }
        let disk = |(device, role, path): (String, DiskRole, PathBuf)| ServerDisk {
            device,
            role,
            storage: DiskStorage::RawFile,
            size_bytes: length(&path),
        };
        Ok(ServerDisks {
            is_running: true,
            disks: disks.into_iter().map(disk).collect(),
        })
    }

    fn point_path(&self, id: PointId, device: &str) -> PathBuf {
        self.folder.join(format!("point-{id}.{device}"))
    }

    fn server_of(&self, id: PointId) -> Uuid {
        self.points.lock().unwrap()[&id]
    }

    /// A mark is a copy that is kept.
    pub(crate) fn point_take(
        &self,
        id: PointId,
        request: &PointRequest,
    ) -> Result<PointStatus, ClientError> {
        let disks = self.disks_of(request.server_id);
        self.points.lock().unwrap().insert(id, request.server_id);
        let take = |wanted: &PointDisk| {
            let found = disks.iter().find(|(device, _, _)| *device == wanted.device);
            let (device, _, path) =
                found.ok_or_else(|| refused(RefusalKind::NotFound, "no such disk"))?;
            let copy = self.point_path(id, device);
            if !copy.exists() {
                let mut cp = Command::new("cp");
                let copied = cp.arg("--sparse=always").args([path, &copy]).status();
                assert!(copied.unwrap().success());
            }
            let mark = format!("mark-{id}.{}.{device}", request.server_id);
            let since = wanted.since.as_ref();
            let is_lost = since.is_some_and(|mark| !Path::new(mark).exists());
            Ok(TakenDisk {
                device: device.clone(),
                size_bytes: length(&copy),
                mark: Some(self.folder.join(mark).to_str().unwrap().to_owned()),
                changes_unknown: is_lost.then(|| "the mark was lost".to_owned()),
            })
        };
        let disks = request.disks.iter().map(take).collect::<Result<_, _>>()?;
        Ok(PointStatus { id, disks })
    }

    pub(crate) fn point_end(&self, id: PointId, end: PointEnd) {
        let begin = format!("point-{id}.");
        for name in self.names(&begin) {
            let (path, device) = (self.folder.join(&name), &name[begin.len()..]);
            if end.keep_marks {
                let server_id = self.server_of(id);
                let kept = format!("mark-{id}.{server_id}.{device}");
                let of_disk = format!(".{server_id}.{device}");
                for older in self.names("mark-") {
                    if older.ends_with(&of_disk) && older != kept {
                        fs::remove_file(self.folder.join(older)).unwrap();
                    }
                }
                fs::rename(path, self.folder.join(kept)).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector(json!({
            "host": LocalDatamover::HOST, "ip": "127.0.0.1", "multipath": false,
            "initiator": "iqn.2026-01.org.fake:host", "platform": "x86_64", "os_type": "linux",
        }))
    }

    pub(crate) fn connection_open(
        &self,
        id: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<ConnectionStatus, ClientError> {
        let volume_id = request.connection_info["volume_id"].as_str();
        let volume_id = volume_id.ok_or_else(|| refused(RefusalKind::Invalid, "no volume"))?;
        let path = self.folder.join(format!("volume-{volume_id}"));
        let size_bytes = length(&path);
        self.connections.lock().unwrap().insert(id, path);
        Ok(ConnectionStatus { id, size_bytes })
    }

    pub(crate) fn connection_close(&self, id: ConnectionId) {
        self.connections.lock().unwrap().remove(&id);
    }

    /// The same request in terms of raw files.
    pub(crate) fn translated(
        &self,
        request: &TransferRequest,
    ) -> Result<TransferRequest, ClientError> {
        let mut request = request.clone();
        match &mut request.job {
            TransferJob::Backup(job) => {
                if let (DiskLocation::Connection { connection, .. }, Some(since)) =
                    (&job.source, &mut job.since)
                {
                    let path = self.connected(*connection)?;
                    *since = format!("{}.snapshot-{since}", path.display());
                }
                self.make_raw(&mut job.source)?;
            }
            TransferJob::Restore(job) => self.make_raw(&mut job.destination)?,
            TransferJob::Remove(_) | TransferJob::Merge(_) | TransferJob::Verify(_) => {}
        }
        Ok(request)
    }

    fn connected(&self, id: ConnectionId) -> Result<PathBuf, ClientError> {
        let connections = self.connections.lock().unwrap();
        let path = connections.get(&id).cloned();
        path.ok_or_else(|| refused(RefusalKind::Invalid, "no such connection"))
    }

    fn make_raw(&self, location: &mut DiskLocation) -> Result<(), ClientError> {
        let path = match location {
            DiskLocation::Point { point, device } => self.point_path(*point, device),
            DiskLocation::Connection {
                connection,
                snapshot,
            } => {
                let mut path = self.connected(*connection)?.into_os_string();
                if let Some(snapshot) = snapshot {
                    path.push(format!(".snapshot-{snapshot}"));
                }
                path.into()
            }
            DiskLocation::Rbd { .. } | DiskLocation::Raw { .. } => return Ok(()),
        };
        if !path.exists() {
            return Err(refused(RefusalKind::Invalid, "no such disk"));
        }
        *location = DiskLocation::Raw {
            path: path.to_str().unwrap().to_owned(),
        };
        Ok(())
    }
}
