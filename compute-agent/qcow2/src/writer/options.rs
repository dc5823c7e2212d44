//! What an image shall be.

use serde::{Deserialize, Serialize};

use super::WriteError;
use crate::geometry::BACKING_NAME_LIMIT;

/// What to create. The same options are given again to resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOptions {
    /// The disk's true size: any number of bytes but 0. The caller must keep it, QCOW2 rounds it
    /// up to 512.
    pub size_bytes: u64,
    /// The image that this one is an overlay of.
    pub backing: Option<Backing>,
    /// What the payloads of compressed clusters are. Each cluster may still be stored as it is.
    pub compression: Compression,
}

/// A parent image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backing {
    /// Its path relative to the folder of the new image, such as `../../../snapshot_1/...`.
    pub name: String,
    /// Its format.
    pub format: BackingFormat,
}

/// Formats that a parent may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackingFormat {
    /// Another image of a chain.
    Qcow2,
}

impl BackingFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
        }
    }
}

/// What data clusters are compressed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// Store them as they are.
    #[default]
    None,
    /// Raw deflate, which the oldest readers know.
    Zlib,
    /// Zstandard, for QEMU since 5.1.
    Zstd,
}

impl ImageOptions {
    pub(super) fn validate(&self) -> Result<(), WriteError> {
        let Some(backing) = &self.backing else {
            return Ok(());
        };
        let name = &backing.name;
        // Like QEMU: a colon before the first slash makes it a protocol, not a path.
        let first = name.split('/').next().unwrap_or_default();
        let is_relative_path = !first.is_empty() && !first.contains(':');
        if is_relative_path && name.len() <= BACKING_NAME_LIMIT && !name.contains('\0') {
            Ok(())
        } else {
            Err(WriteError::InvalidBacking { name: name.clone() })
        }
    }
}
