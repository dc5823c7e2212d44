//! What `qemu-nbd` can be told to serve, as its `--image-opts`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::RbdImage;

/// A disk that qemu opens. The format is always named: probing would let a guest choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// An RBD image or a snapshot of one.
    Rbd(RbdImage),
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
        /// How its bytes are to be understood.
        format: FileFormat,
    },
    /// A raw block device, opened past the page cache.
    BlockDevice {
        /// The device node.
        path: PathBuf,
    },
}

/// The format of a disk in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// The disk's bytes as they are.
    Raw,
    /// A qcow2 file with its backing chain.
    Qcow2,
}

impl Image {
    /// A raw file.
    pub fn raw_file(path: &Path) -> Self {
        Self::File {
            path: path.to_owned(),
            format: FileFormat::Raw,
        }
    }

    pub(super) fn options(&self) -> String {
        let options = match self {
            Self::Rbd(image) => rbd_options(image),
            Self::File { path, format } => {
                let driver = match format {
                    FileFormat::Raw => "raw",
                    FileFormat::Qcow2 => "qcow2",
                };
                vec![
                    ("driver".to_owned(), driver.to_owned()),
                    ("file.driver".to_owned(), "file".to_owned()),
                    ("file.filename".to_owned(), path.display().to_string()),
                ]
            }
            Self::BlockDevice { path } => vec![
                ("driver".to_owned(), "raw".to_owned()),
                ("file.driver".to_owned(), "host_device".to_owned()),
                ("file.filename".to_owned(), path.display().to_string()),
            ],
        };
        // A comma separates options; doubled it is one.
        let options = options
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(',', ",,")));
        options.collect::<Vec<_>>().join(",")
    }

    pub(super) fn cache_mode(&self) -> &'static str {
        match self {
            // librbd's own cache gathers small writes; past the page cache it is in any case.
            Self::Rbd(_) => "writeback",
            Self::File { .. } => "writeback",
            // Hundreds of gigabytes read once must not push everything else out of memory.
            Self::BlockDevice { .. } => "none",
        }
    }
}

fn rbd_options(image: &RbdImage) -> Vec<(String, String)> {
    let mut options = vec![
        ("driver".to_owned(), "rbd".to_owned()),
        ("pool".to_owned(), image.pool.clone()),
        ("image".to_owned(), image.image.clone()),
    ];
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("snapshot", image.snapshot.clone());
    add("user", image.user.clone());
    add(
        "conf",
        image.conf.as_ref().map(|conf| conf.display().to_string()),
    );
    for (number, monitor) in image.monitors.iter().enumerate() {
        add(&format!("server.{number}.host"), Some(monitor.host.clone()));
        add(
            &format!("server.{number}.port"),
            Some(monitor.port.to_string()),
        );
    }
    options
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rbd(image) => write!(f, "{image}"),
            Self::File { path, .. } | Self::BlockDevice { path } => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MonitorHost;

    #[test]
    fn an_rbd_image_is_named_with_all_that_was_given() {
        let mut image = RbdImage::new("volumes", "a,b").at("s1");
        image.user = Some("backup".to_owned());
        image.conf = Some("/etc/ceph/ceph.conf".into());
        image.monitors = vec![MonitorHost {
            host: "10.0.0.1".to_owned(),
            port: 6789,
        }];
        assert_eq!(
            Image::Rbd(image).options(),
            "driver=rbd,pool=volumes,image=a,,b,snapshot=s1,user=backup,\
             conf=/etc/ceph/ceph.conf,server.0.host=10.0.0.1,server.0.port=6789"
        );
    }

    #[test]
    fn a_file_name_cannot_add_options() {
        let image = Image::raw_file(Path::new("/x,readonly=off"));
        assert_eq!(
            image.options(),
            "driver=raw,file.driver=file,file.filename=/x,,readonly=off"
        );
    }
}
