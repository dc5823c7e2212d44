//! Nova.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_types::{
    AttachmentId, FlavorId, FlavorRecord, ImageId, PortId, ProjectId, ServerId, UserId, VolumeId,
};

use crate::CloudError;

/// A server as Nova shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Display name.
    pub name: String,
    /// `ACTIVE`, `SHUTOFF`, `BUILD`, `ERROR`, ...
    pub status: String,
    /// What Nova says went wrong, when the status is `ERROR`.
    pub fault: Option<String>,
    /// Owner.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Where it runs or ran.
    pub availability_zone: Option<String>,
    /// Compute host; shown to the service user only.
    pub host: Option<String>,
    /// Libvirt domain name; shown to the service user only.
    pub instance_name: Option<String>,
    /// Server metadata.
    pub metadata: BTreeMap<String, String>,
    /// Key pair, by name.
    pub key_name: Option<String>,
    /// Whether it was given a config drive.
    pub has_config_drive: bool,
    /// Base64; shown to the service user only.
    pub user_data: Option<String>,
    /// `None` for a server booted from a volume.
    pub image_id: Option<ImageId>,
    /// By value (compute API 2.47 and later); the id is not shown then.
    pub flavor: FlavorRecord,
}

/// A volume of a server, from Nova's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAttachment {
    /// Which volume.
    pub volume_id: VolumeId,
    /// `/dev/vdb`
    pub device: String,
    /// Nova deletes the volume with the server.
    pub is_deleted_on_termination: bool,
    /// Cinder's attachment (compute API 2.89 and later).
    pub attachment_id: AttachmentId,
}

/// A server to be made; disks are volumes that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServer {
    /// Display name.
    pub name: String,
    /// Size.
    pub flavor_id: FlavorId,
    /// Ports that exist, in the order in which the guest is to see them.
    pub port_ids: Vec<PortId>,
    /// Boot disk first.
    pub disks: Vec<NewServerDisk>,
    /// Key pair of the calling user.
    pub key_name: Option<String>,
    /// Server metadata from the moment of creation.
    pub metadata: BTreeMap<String, String>,
    /// `None`: Nova chooses.
    pub availability_zone: Option<String>,
    /// Base64.
    pub user_data: Option<String>,
    /// Whether to give it a config drive.
    pub has_config_drive: bool,
}

/// A volume as a disk of a new server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServerDisk {
    /// Which volume.
    pub volume_id: VolumeId,
    /// Without `/dev/`: `vda`.
    pub device: String,
    /// 0 is the boot disk, -1 never boots.
    pub boot_index: i32,
    /// Nova deletes the volume with the server.
    pub is_deleted_on_termination: bool,
}

/// What Backstay asks of Nova.
#[async_trait]
pub trait Compute: Send + Sync {
    /// One server.
    async fn server_fetch(&self, id: &ServerId) -> Result<Server, CloudError>;
    /// Servers of the identity's project whose metadata has this pair; all pages.
    async fn servers_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<Server>, CloudError>;
    /// Volumes of a server, by device name.
    async fn volume_attachments(&self, id: &ServerId) -> Result<Vec<VolumeAttachment>, CloudError>;
    /// Starts to make a server; answers before it is built.
    async fn server_create(&self, new: &NewServer) -> Result<ServerId, CloudError>;
    /// Starts to delete a server.
    async fn server_delete(&self, id: &ServerId) -> Result<(), CloudError>;
    /// Adds or replaces these pairs, keeps the others.
    async fn server_metadata_set(
        &self,
        id: &ServerId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<(), CloudError>;
    /// Takes one pair away; a key that is not there is success.
    async fn server_metadata_remove(&self, id: &ServerId, key: &str) -> Result<(), CloudError>;
    /// All flavors that the identity may use, extra specs included where it may see them.
    async fn flavors(&self) -> Result<Vec<FlavorRecord>, CloudError>;
    /// Makes a flavor usable by `project_id` alone. Service user only.
    async fn flavor_create(
        &self,
        flavor: &FlavorRecord,
        project_id: &ProjectId,
    ) -> Result<FlavorId, CloudError>;
    /// Deletes a flavor. Service user only.
    async fn flavor_delete(&self, id: &FlavorId) -> Result<(), CloudError>;
    /// Whether the calling user (a trust's trustor) has a key pair of this name.
    async fn has_key_pair(&self, name: &str) -> Result<bool, CloudError>;
}
