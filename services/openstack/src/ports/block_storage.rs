//! Cinder.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use services_types::{AttachmentId, ImageId, ServerId, VolumeId, VolumeSnapshotId};

use crate::CloudError;

/// A volume as Cinder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `available`, `in-use`, `creating`, `error`, ...
    pub status: String,
    /// Whole GiB.
    pub size_gib: u64,
    /// By name.
    pub volume_type: Option<String>,
    /// Storage availability zone.
    pub availability_zone: Option<String>,
    /// Cinder's flag.
    pub is_bootable: bool,
    /// May be attached to several servers.
    pub is_multiattach: bool,
    /// Encrypted by its type.
    pub is_encrypted: bool,
    /// Volume metadata.
    pub metadata: BTreeMap<String, String>,
    /// Image properties it carries; `image_id` and `image_name` among them.
    pub image_metadata: BTreeMap<String, String>,
    /// Attachments and the servers they are for, those still under way included (of one volume; in
    /// lists Cinder shows finished ones only).
    pub attachments: Vec<(AttachmentId, Option<ServerId>)>,
}

/// What a new volume holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VolumeSource {
    /// Nothing: it reads as zeroes.
    #[default]
    Empty,
    /// What a Cinder snapshot shows; the volume is of the snapshot's own type.
    Snapshot(VolumeSnapshotId),
    /// A Glance image; the volume is bootable and has the image's properties.
    Image(ImageId),
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Whole GiB.
    pub size_gib: u64,
    /// `None`: the cloud's default type.
    pub volume_type: Option<String>,
    /// `None`: Cinder chooses.
    pub availability_zone: Option<String>,
    /// Volume metadata from the moment of creation.
    pub metadata: BTreeMap<String, String>,
    /// What it holds when it is `available`.
    pub source: VolumeSource,
}

/// A Cinder snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSnapshot {
    /// Its id.
    pub id: VolumeSnapshotId,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Display name.
    pub name: String,
    /// `creating`, `available`, `error`, `deleting`, ...
    pub status: String,
    /// The volume's size at the time, whole GiB.
    pub size_gib: u64,
    /// Snapshot metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A Cinder snapshot to be made; taken of volumes in use as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolumeSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Snapshot metadata from the moment of creation.
    pub metadata: BTreeMap<String, String>,
}

/// How a host or a server is connected to a volume.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Which volume.
    pub volume_id: VolumeId,
    /// `attached`, `attaching`, `reserved`, ...
    pub status: String,
    /// What the driver needs to reach the volume, in the driver's words; on RBD
    /// `name` (`pool/image`), `hosts`, `ports`, `auth_username`. Holds secrets: never logged.
    pub connection_info: Value,
}

/// Without the connection's secrets.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("id", &self.id)
            .field("volume_id", &self.volume_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What Backstay asks of Cinder.
#[async_trait]
pub trait BlockStorage: Send + Sync {
    /// One volume.
    async fn volume_fetch(&self, id: &VolumeId) -> Result<Volume, CloudError>;
    /// Volumes of the identity's project whose metadata has this pair; all pages.
    async fn volumes_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<Volume>, CloudError>;
    /// Starts to make a volume.
    async fn volume_create(&self, new: &NewVolume) -> Result<VolumeId, CloudError>;
    /// Starts to delete a volume.
    async fn volume_delete(&self, id: &VolumeId) -> Result<(), CloudError>;
    /// Sets Cinder's bootable flag.
    async fn volume_set_bootable(&self, id: &VolumeId, is_bootable: bool)
    -> Result<(), CloudError>;
    /// Adds or replaces image properties.
    async fn volume_set_image_metadata(
        &self,
        id: &VolumeId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<(), CloudError>;
    /// Takes one pair of metadata away; a key that is not there is success.
    async fn volume_metadata_remove(&self, id: &VolumeId, key: &str) -> Result<(), CloudError>;
    /// One Cinder snapshot.
    async fn snapshot_fetch(&self, id: &VolumeSnapshotId) -> Result<VolumeSnapshot, CloudError>;
    /// Cinder snapshots of the identity's project whose metadata has this pair; all pages.
    async fn snapshots_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<VolumeSnapshot>, CloudError>;
    /// Starts to take a Cinder snapshot.
    async fn snapshot_create(
        &self,
        new: &NewVolumeSnapshot,
    ) -> Result<VolumeSnapshotId, CloudError>;
    /// Starts to delete a Cinder snapshot.
    async fn snapshot_delete(&self, id: &VolumeSnapshotId) -> Result<(), CloudError>;
    /// One attachment with its connection.
    async fn attachment_fetch(&self, id: &AttachmentId) -> Result<Attachment, CloudError>;
    /// Reserves a free volume for the host named in `connector` and exports it there, for no server:
    /// nobody else can attach it until the attachment is deleted.
    async fn attachment_create(
        &self,
        volume_id: &VolumeId,
        connector: &Value,
    ) -> Result<Attachment, CloudError>;
    /// Ends an attachment made by [`attachment_create`](Self::attachment_create).
    async fn attachment_delete(&self, id: &AttachmentId) -> Result<(), CloudError>;
}
