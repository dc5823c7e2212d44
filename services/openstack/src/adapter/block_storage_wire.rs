//! What Cinder 3.44 answers with.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use services_types::{AttachmentId, ServerId, VolumeId, VolumeSnapshotId};

use crate::ports::{Attachment, Volume, VolumeSnapshot};

#[derive(Deserialize)]
pub(super) struct VolumeBody {
    id: VolumeId,
    name: Option<String>,
    description: Option<String>,
    status: String,
    size: u64,
    volume_type: Option<String>,
    availability_zone: Option<String>,
    // "true" or "false", as text.
    bootable: String,
    multiattach: bool,
    #[serde(default)]
    encrypted: bool,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    volume_image_metadata: BTreeMap<String, String>,
    #[serde(default)]
    attachments: Vec<VolumeUse>,
}

#[derive(Deserialize)]
struct VolumeUse {
    attachment_id: AttachmentId,
    server_id: Option<ServerId>,
}

impl From<VolumeBody> for Volume {
    fn from(body: VolumeBody) -> Self {
        Self {
            id: body.id,
            name: body.name.unwrap_or_default(),
            description: body.description.unwrap_or_default(),
            status: body.status,
            size_gib: body.size,
            volume_type: body.volume_type,
            availability_zone: body.availability_zone,
            is_bootable: body.bootable.eq_ignore_ascii_case("true"),
            is_multiattach: body.multiattach,
            is_encrypted: body.encrypted,
            metadata: body.metadata,
            image_metadata: body.volume_image_metadata,
            attachments: body
                .attachments
                .into_iter()
                .map(|a| (a.attachment_id, a.server_id))
                .collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SnapshotBody {
    id: VolumeSnapshotId,
    volume_id: VolumeId,
    name: Option<String>,
    status: String,
    size: u64,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl From<SnapshotBody> for VolumeSnapshot {
    fn from(body: SnapshotBody) -> Self {
        Self {
            id: body.id,
            volume_id: body.volume_id,
            name: body.name.unwrap_or_default(),
            status: body.status,
            size_gib: body.size,
            metadata: body.metadata,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct AttachmentBody {
    pub(super) id: AttachmentId,
    volume_id: VolumeId,
    status: String,
    #[serde(default)]
    connection_info: Value,
}

impl From<AttachmentBody> for Attachment {
    fn from(body: AttachmentBody) -> Self {
        Self {
            id: body.id,
            volume_id: body.volume_id,
            status: body.status,
            connection_info: body.connection_info,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct AttachmentSummary {
    pub(super) id: AttachmentId,
    pub(super) instance: Option<ServerId>,
}
