//! What `qemu-nbd` can be told to serve, as its `--image-opts`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Access;
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
    /// A file with its chain named layer by layer: what the files say of each other is not asked, and
    /// no lock is taken for reading, so that a guest can be started on it.
    Layers(Vec<Layer>),
    /// A raw block device, opened past the page cache.
    BlockDevice {
        /// The device node.
        path: PathBuf,
    },
}

/// One file of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Where it is.
    pub path: PathBuf,
    /// How its bytes are to be understood.
    pub format: FileFormat,
}

/// The format of a disk in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// The disk's bytes as they are.
    Raw,
    /// A qcow2 file with its backing chain.
    Qcow2,
}

impl FileFormat {
    /// What QEMU calls it.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

impl Image {
    /// A raw file.
    pub fn raw_file(path: &Path) -> Self {
        Self::File {
            path: path.to_owned(),
            format: FileFormat::Raw,
        }
    }

    pub(super) fn options(&self, access: Access) -> String {
        let options = match self {
            Self::Rbd(image) => rbd_options(image),
            Self::File { path, format } => vec![
                ("driver".to_owned(), format.driver().to_owned()),
                ("file.driver".to_owned(), "file".to_owned()),
                ("file.filename".to_owned(), path.display().to_string()),
            ],
            Self::Layers(layers) => layers_options(layers, access),
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
            Self::File { .. } | Self::Layers(_) => "writeback",
            // Hundreds of gigabytes read once must not push everything else out of memory.
            Self::BlockDevice { .. } => "none",
        }
    }
}

fn layers_options(layers: &[Layer], access: Access) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut prefix = String::new();
    for layer in layers {
        let path = layer.path.display().to_string();
        options.push((format!("{prefix}driver"), layer.format.driver().to_owned()));
        options.push((format!("{prefix}file.driver"), "file".to_owned()));
        options.push((format!("{prefix}file.filename"), path));
        prefix.push_str("backing.");
    }
    if access == Access::ReadOnly {
        // Inherited by every layer.
        options.push(("force-share".to_owned(), "on".to_owned()));
    }
    options
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
            Self::Layers(layers) => match layers.first() {
                Some(top) => write!(f, "{}", top.path.display()),
                None => f.write_str("no file"),
            },
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
            Image::Rbd(image).options(Access::ReadOnly),
            "driver=rbd,pool=volumes,image=a,,b,snapshot=s1,user=backup,\
             conf=/etc/ceph/ceph.conf,server.0.host=10.0.0.1,server.0.port=6789"
        );
    }

    #[test]
    fn a_file_name_cannot_add_options() {
        let image = Image::raw_file(Path::new("/x,readonly=off"));
        assert_eq!(
            image.options(Access::ReadOnly),
            "driver=raw,file.driver=file,file.filename=/x,,readonly=off"
        );
    }

    #[test]
    fn a_chain_is_named_layer_by_layer_and_locked_only_for_writing() {
        let layer = |path: &str, format| Layer {
            path: path.into(),
            format,
        };
        let image = Image::Layers(vec![
            layer("/a", FileFormat::Qcow2),
            layer("/b", FileFormat::Raw),
        ]);
        let chain = "driver=qcow2,file.driver=file,file.filename=/a,\
                     backing.driver=raw,backing.file.driver=file,backing.file.filename=/b";
        assert_eq!(image.options(Access::ReadWrite), chain);
        assert_eq!(
            image.options(Access::ReadOnly),
            format!("{chain},force-share=on")
        );
    }
}
