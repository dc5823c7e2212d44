//! From a location in a request to a disk that can be read or written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agent_blocks::{
    BlocksError, DiskSource, FileTarget, RawSource, RbdImage, RbdSource, RbdTarget, WriteDisk,
};
use agent_contract::DiskLocation;

use crate::connections::Connections;
use crate::points::Points;
use crate::settings::{CephSettings, Settings};
use crate::transfer::{JobError, disk};

/// Opens disks as this host reaches them.
pub(crate) struct Disks {
    ceph: CephSettings,
    raw_allowed_paths: Vec<PathBuf>,
    blocks: agent_blocks::Settings,
    points: Option<Points>,
    connections: Option<Connections>,
}

impl Disks {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            ceph: settings.ceph.clone(),
            raw_allowed_paths: settings.raw_allowed_paths.clone(),
            blocks: agent_blocks::Settings::default(),
            points: None,
            connections: None,
        }
    }

    /// Those of points in time and connected volumes too.
    pub(crate) fn with(mut self, points: Points, connections: Connections) -> Self {
        (self.points, self.connections) = (Some(points), Some(connections));
        self
    }

    /// None that a request may name: for the command, which opens its disks itself.
    pub(crate) fn none() -> Self {
        Self {
            ceph: CephSettings::default(),
            raw_allowed_paths: Vec::new(),
            blocks: agent_blocks::Settings::default(),
            points: None,
            connections: None,
        }
    }

    /// The disk to be backed up.
    pub(crate) fn source(&self, location: &DiskLocation) -> Result<Box<dyn DiskSource>, JobError> {
        let opened = match location {
            DiskLocation::Rbd {
                pool,
                image,
                snapshot,
            } => {
                let image = self.rbd(pool, image, snapshot.as_deref());
                RbdSource::open(image, &self.blocks).map(boxed_source)
            }
            DiskLocation::Raw { path } => RawSource::open(&self.raw(path)?).map(boxed_source),
            DiskLocation::Point { point, device } => match &self.points {
                Some(points) => points.source(*point, device),
                None => return Err(JobError::Refused("this host takes no points".to_owned())),
            },
            DiskLocation::Connection {
                connection,
                snapshot,
            } => match &self.connections {
                Some(connections) => connections.source(*connection, snapshot.as_deref()),
                None => return Err(JobError::Refused("this host connects nothing".to_owned())),
            },
        };
        opened.map_err(disk("open the disk"))
    }

    /// The disk to be filled.
    pub(crate) fn destination(
        &self,
        location: &DiskLocation,
    ) -> Result<Box<dyn WriteDisk>, JobError> {
        let opened: Result<Box<dyn WriteDisk>, BlocksError> = match location {
            DiskLocation::Rbd {
                pool,
                image,
                snapshot,
            } => {
                let image = self.rbd(pool, image, snapshot.as_deref());
                RbdTarget::open(image, &self.blocks).map(|disk| Box::new(disk) as _)
            }
            DiskLocation::Raw { path } => {
                FileTarget::open(&self.raw(path)?).map(|disk| Box::new(disk) as _)
            }
            DiskLocation::Point { .. } => {
                let why = "a point in time cannot be written to";
                return Err(JobError::Refused(why.to_owned()));
            }
            DiskLocation::Connection {
                connection,
                snapshot,
            } => match &self.connections {
                Some(connections) => connections.destination(*connection, snapshot.as_deref()),
                None => return Err(JobError::Refused("this host connects nothing".to_owned())),
            },
        };
        opened.map_err(disk("open the volume"))
    }

    fn rbd(&self, pool: &str, image: &str, snapshot: Option<&str>) -> RbdImage {
        RbdImage {
            user: self.ceph.user.clone(),
            conf: self.ceph.conf.clone(),
            snapshot: snapshot.map(str::to_owned),
            ..RbdImage::new(pool, image)
        }
    }

    /// Where the path really leads, which must be below a folder that an operator has named.
    fn raw(&self, path: &str) -> Result<PathBuf, JobError> {
        let refused = || JobError::Refused(format!("{path} is not in [raw] allowed_paths"));
        let real = Path::new(path).canonicalize().map_err(|_| refused())?;
        if self.is_allowed(&real) {
            Ok(real)
        } else {
            Err(refused())
        }
    }

    fn is_allowed(&self, real: &Path) -> bool {
        let allowed = self
            .raw_allowed_paths
            .iter()
            .filter_map(|folder| folder.canonicalize().ok());
        allowed.into_iter().any(|folder| real.starts_with(folder))
    }

    /// Whether a request may name this earlier state of the disk: that of a raw file is a path too. A
    /// copy that is gone is found out later, by who makes a full backup then.
    pub(crate) fn check_since(&self, source: &DiskLocation, since: &str) -> Result<(), String> {
        let DiskLocation::Raw { .. } = source else {
            return Ok(());
        };
        let path = Path::new(since);
        let real = path.canonicalize().or_else(|error| match path.parent() {
            Some(folder) if error.kind() == ErrorKind::NotFound => folder.canonicalize(),
            _ => Err(error),
        });
        match real {
            Ok(real) if self.is_allowed(&real) => Ok(()),
            _ => Err(format!("{since} is not in [raw] allowed_paths")),
        }
    }

    /// Whether a request may name this location at all.
    pub(crate) fn check(&self, location: &DiskLocation) -> Result<(), String> {
        match location {
            DiskLocation::Raw { path } => self.raw(path).map(|_| ()).map_err(|e| e.to_string()),
            DiskLocation::Point { .. } | DiskLocation::Connection { .. } => Ok(()),
            DiskLocation::Rbd { pool, .. } => {
                let pools = &self.ceph.pools;
                if pools.is_empty() || pools.contains(pool) {
                    Ok(())
                } else {
                    Err(format!("pool {pool} is not in [ceph] pools"))
                }
            }
        }
    }
}

fn boxed_source(source: impl DiskSource + 'static) -> Box<dyn DiskSource> {
    Box::new(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pools: &[&str], pool: &str) -> Result<(), String> {
        let disks = Disks {
            ceph: CephSettings {
                conf: None,
                user: None,
                pools: pools.iter().map(|name| (*name).to_owned()).collect(),
            },
            raw_allowed_paths: Vec::new(),
            blocks: agent_blocks::Settings::default(),
            points: None,
            connections: None,
        };
        let (pool, image) = (pool.to_owned(), "image".to_owned());
        disks.check(&DiskLocation::Rbd {
            pool,
            image,
            snapshot: None,
        })
    }

    #[test]
    fn a_pool_that_the_operator_did_not_name_is_refused() {
        assert_eq!(check(&["volumes", "vms"], "vms"), Ok(()));
        assert!(check(&["volumes", "vms"], "images").is_err());
    }

    #[test]
    fn where_no_pool_is_named_ceph_itself_decides() {
        assert_eq!(check(&[], "images"), Ok(()));
    }
}
