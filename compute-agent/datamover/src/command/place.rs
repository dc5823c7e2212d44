//! Where a disk is, as the command line says it.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use agent_blocks::nbd::Endpoint;
use agent_blocks::{
    DiskSource, FileTarget, NbdSource, NbdTarget, RawSource, RbdImage, RbdSource, RbdTarget,
    Settings, WriteDisk,
};
use url::Url;

use super::arguments::Common;
use super::error::{CommandError, io};

/// Where a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskPlace {
    /// A file or a block device.
    File(PathBuf),
    /// An RBD image, or a snapshot of one.
    Rbd {
        /// Pool.
        pool: String,
        /// Image.
        image: String,
        /// Snapshot.
        snapshot: Option<String>,
    },
    /// What an NBD server serves on a unix socket.
    NbdUnix {
        /// The socket.
        socket: PathBuf,
        /// The export's name.
        export: String,
    },
    /// What an NBD server serves over TCP.
    NbdTcp {
        /// `HOST:PORT`.
        address: String,
        /// The export's name.
        export: String,
    },
}

const NBD_PORT: u16 = 10809;

impl FromStr for DiskPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(image) = text.strip_prefix("rbd:") {
            return parse_rbd(image);
        }
        if text.starts_with("nbd:") || text.starts_with("nbd+") || text.starts_with("nbds") {
            return parse_nbd(text);
        }
        match text {
            "" => Err("a disk has a place".to_owned()),
            _ => Ok(Self::File(text.into())),
        }
    }
}

fn parse_rbd(text: &str) -> Result<DiskPlace, String> {
    let (image, snapshot) = match text.split_once('@') {
        Some((image, snapshot)) => (image, Some(snapshot)),
        None => (text, None),
    };
    match image.split_once('/') {
        Some((pool, image))
            if !pool.is_empty()
                && !image.is_empty()
                && !image.contains('/')
                && snapshot.is_none_or(|name| !name.is_empty() && !name.contains('@')) =>
        {
            Ok(DiskPlace::Rbd {
                pool: pool.to_owned(),
                image: image.to_owned(),
                snapshot: snapshot.map(str::to_owned),
            })
        }
        _ => Err("an RBD image is rbd:POOL/IMAGE or rbd:POOL/IMAGE@SNAPSHOT".to_owned()),
    }
}

fn parse_nbd(text: &str) -> Result<DiskPlace, String> {
    let forms = "an NBD disk is nbd://HOST[:PORT][/EXPORT] or nbd+unix:///[EXPORT]?socket=PATH";
    let url = Url::parse(text).map_err(|error| format!("{forms}: {error}"))?;
    let export = percent_decoded(url.path().strip_prefix('/').unwrap_or(url.path()))?;
    let mut socket = None;
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "socket" => socket = Some(PathBuf::from(value.as_ref())),
            other => return Err(format!("{forms}: {other} is not understood")),
        }
    }
    match (url.scheme(), url.host_str(), socket) {
        ("nbd", Some(host), None) if !host.is_empty() => Ok(DiskPlace::NbdTcp {
            address: format!("{host}:{}", url.port().unwrap_or(NBD_PORT)),
            export,
        }),
        ("nbd+unix", None | Some(""), Some(socket)) => Ok(DiskPlace::NbdUnix { socket, export }),
        ("nbds" | "nbds+unix", ..) => Err("NBD with TLS is not understood".to_owned()),
        _ => Err(forms.to_owned()),
    }
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| "an export's name is UTF-8")?.into())
}

impl std::fmt::Display for DiskPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Rbd {
                pool,
                image,
                snapshot,
            } => {
                write!(f, "rbd:{pool}/{image}")?;
                snapshot.iter().try_for_each(|name| write!(f, "@{name}"))
            }
            Self::NbdUnix { socket, export } => {
                write!(f, "nbd+unix:///{export}?socket={}", socket.display())
            }
            Self::NbdTcp { address, export } => write!(f, "nbd://{address}/{export}"),
        }
    }
}

impl DiskPlace {
    pub(super) fn open_source(&self, common: &Common) -> Result<Box<dyn DiskSource>, CommandError> {
        let settings = Settings::default();
        let opened: Result<Box<dyn DiskSource>, _> = match self {
            Self::File(path) => RawSource::open(path).map(|disk| Box::new(disk) as _),
            Self::Rbd { .. } => {
                RbdSource::open(self.rbd(common)?, &settings).map(|disk| Box::new(disk) as _)
            }
            Self::NbdUnix { .. } | Self::NbdTcp { .. } => {
                NbdSource::open(self.endpoint(&settings)?).map(|disk| Box::new(disk) as _)
            }
        };
        opened.map_err(|source| CommandError::Disk {
            doing: format!("open {self}"),
            source,
        })
    }

    pub(super) fn open_destination(
        &self,
        common: &Common,
    ) -> Result<Box<dyn WriteDisk>, CommandError> {
        let settings = Settings::default();
        let opened: Result<Box<dyn WriteDisk>, _> = match self {
            Self::File(path) => FileTarget::open(path).map(|disk| Box::new(disk) as _),
            Self::Rbd { .. } => {
                RbdTarget::open(self.rbd(common)?, &settings).map(|disk| Box::new(disk) as _)
            }
            Self::NbdUnix { .. } | Self::NbdTcp { .. } => {
                NbdTarget::open(self.endpoint(&settings)?).map(|disk| Box::new(disk) as _)
            }
        };
        opened.map_err(|source| CommandError::Disk {
            doing: format!("open {self} for writing"),
            source,
        })
    }

    /// What changes when somebody writes to the disk; none where nothing tells.
    pub(super) fn identity(&self, common: &Common) -> Result<Option<String>, CommandError> {
        match self {
            Self::File(path) => Ok(file_identity(path)),
            Self::Rbd {
                pool,
                image,
                snapshot: Some(snapshot),
            } => {
                let id = self
                    .rbd(common)?
                    .snapshot_id(snapshot, &Settings::default());
                let id = id.map_err(|source| CommandError::Disk {
                    doing: format!("look at the snapshots of {self}"),
                    source,
                })?;
                Ok(id.map(|id| format!("rbd:{pool}/{image}@{id}")))
            }
            Self::Rbd { .. } | Self::NbdUnix { .. } | Self::NbdTcp { .. } => Ok(None),
        }
    }

    fn rbd(&self, common: &Common) -> Result<RbdImage, CommandError> {
        let Self::Rbd {
            pool,
            image,
            snapshot,
        } = self
        else {
            return Err(CommandError::Refused(format!("{self} is no RBD image")));
        };
        Ok(RbdImage {
            snapshot: snapshot.clone(),
            user: common.ceph_user.clone(),
            conf: common.ceph_conf.clone(),
            ..RbdImage::new(pool, image)
        })
    }

    fn endpoint(&self, settings: &Settings) -> Result<Endpoint, CommandError> {
        match self {
            Self::NbdUnix { socket, export } => Ok(Endpoint::at(socket, export, settings)),
            Self::NbdTcp { address, export } => Ok(Endpoint::at_tcp(address, export, settings)),
            _ => Err(CommandError::Refused(format!("{self} is no NBD export"))),
        }
    }
}

fn file_identity(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(format!(
        "{}:{}:{}:{}.{:09}:{}.{:09}",
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    ))
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Nothing,
    File { size_bytes: u64 },
    Device,
}

pub(super) fn kind_of(path: &Path) -> Result<FileKind, CommandError> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileKind::Nothing),
        Err(error) => return Err(io(format!("look at {}", path.display()))(error)),
    };
    if metadata.is_file() {
        let size_bytes = metadata.len();
        Ok(FileKind::File { size_bytes })
    } else if metadata.file_type().is_block_device() {
        Ok(FileKind::Device)
    } else {
        let path = path.display();
        Err(CommandError::Refused(format!(
            "{path} is neither a file nor a block device"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DiskPlace {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_is_understood_and_said_again() {
        let rbd = |snapshot: Option<&str>| DiskPlace::Rbd {
            pool: "volumes".into(),
            image: "volume-1".into(),
            snapshot: snapshot.map(str::to_owned),
        };
        assert_eq!(parse("rbd:volumes/volume-1"), rbd(None));
        assert_eq!(parse("rbd:volumes/volume-1@monday"), rbd(Some("monday")));
        assert_eq!(parse("./rbd:a"), DiskPlace::File("./rbd:a".into()));
        let tcp = |address: &str, export: &str| DiskPlace::NbdTcp {
            address: address.into(),
            export: export.into(),
        };
        assert_eq!(parse("nbd://host"), tcp("host:10809", ""));
        assert_eq!(parse("nbd://[::1]:99/a%20b/c"), tcp("[::1]:99", "a b/c"));
        assert_eq!(
            parse("nbd+unix:///disk?socket=/run/s%20s"),
            DiskPlace::NbdUnix {
                socket: "/run/s s".into(),
                export: "disk".into()
            }
        );
        for text in ["rbd:p/i@s", "nbd://h:1/x", "nbd+unix:///x?socket=/s", "a/b"] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_half_said_is_refused() {
        let bad = [
            "",
            "rbd:",
            "rbd:a",
            "rbd:/a",
            "rbd:a/",
            "rbd:a/b@",
            "rbd:a/b/c",
            "rbd:a/b@c@d",
            "nbd:",
            "nbd://",
            "nbd:host:10809",
            "nbd+unix:///x",
            "nbd://h?socket=/s",
            "nbds://h",
            "nbd+unix://h/x?socket=/s",
            "nbd://h?tls=1",
        ];
        for text in bad {
            assert!(text.parse::<DiskPlace>().is_err(), "{text:?}");
        }
    }
}
