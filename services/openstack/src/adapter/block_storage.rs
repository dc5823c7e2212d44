//! Cinder.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use services_keystone::{Method, Request, Service};
use services_types::{AttachmentId, ServerId, VolumeId, VolumeSnapshotId};

use super::RestCloud;
use super::block_storage_wire::{AttachmentBody, AttachmentSummary, SnapshotBody, VolumeBody};
use super::client::{self, taken_back};
use crate::ports::{
    Attachment, NewVolume, NewVolumeSnapshot, Volume, VolumeSnapshot, VolumeSource,
};
use crate::{BlockStorage, CloudError};

fn request(method: Method, segments: &[&str]) -> Request {
    client::request(method, Service::BlockStorage, segments)
}

#[derive(Deserialize)]
struct Created<Id> {
    id: Id,
}

/// In these states a volume has attachments that Cinder does not show with it.
const IS_BEING_ATTACHED: [&str; 3] = ["reserved", "attaching", "detaching"];

/// Narrows a list to what has a pair of metadata. Cinder parses the filter as a Python literal, so
/// pairs with characters that would need escaping there are left to the caller's own comparison.
fn narrowed(request: Request, key: &str, value: &str) -> Request {
    let is_plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    if is_plain(key) && is_plain(value) {
        request.query("metadata", format!("{{'{key}': '{value}'}}"))
    } else {
        request
    }
}

fn has_pair(metadata: &BTreeMap<String, String>, key: &str, value: &str) -> bool {
    metadata.get(key).is_some_and(|v| v == value)
}

#[async_trait]
impl BlockStorage for RestCloud {
    async fn volume_fetch(&self, id: &VolumeId) -> Result<Volume, CloudError> {
        let operation = format!("look up volume {id}");
        let request = request(Method::GET, &["volumes", id.as_str()]);
        let body: VolumeBody = self.client.fetch(request, "volume", &operation).await?;
        let mut volume = Volume::from(body);
        if volume.attachments.is_empty() && IS_BEING_ATTACHED.contains(&volume.status.as_str()) {
            volume.attachments = self.unfinished_attachments(id).await?;
        }
        Ok(volume)
    }

    async fn volumes_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<Volume>, CloudError> {
        let request = narrowed(request(Method::GET, &["volumes", "detail"]), key, value);
        let all: Vec<VolumeBody> = self.client.list(request, "volumes", "list volumes").await?;
        let mut volumes: Vec<Volume> = all.into_iter().map(Into::into).collect();
        volumes.retain(|volume| has_pair(&volume.metadata, key, value));
        Ok(volumes)
    }

    async fn volume_create(&self, new: &NewVolume) -> Result<VolumeId, CloudError> {
        let operation = format!("make volume {}", new.name);
        // To Cinder, null and left out are one.
        let (snapshot_id, image_id) = match &new.source {
            VolumeSource::Empty => (None, None),
            VolumeSource::Snapshot(id) => (Some(id), None),
            VolumeSource::Image(id) => (None, Some(id)),
        };
        let volume = json!({
            "name": new.name,
            "description": new.description,
            "size": new.size_gib,
            "volume_type": new.volume_type,
            "availability_zone": new.availability_zone,
            "metadata": new.metadata,
            "snapshot_id": snapshot_id,
            "imageRef": image_id,
        });
        let request = request(Method::POST, &["volumes"]).body(json!({ "volume": volume }));
        let created: Created<VolumeId> = self.client.fetch(request, "volume", &operation).await?;
        Ok(created.id)
    }

    async fn volume_delete(&self, id: &VolumeId) -> Result<(), CloudError> {
        let operation = format!("delete volume {id}");
        let request = request(Method::DELETE, &["volumes", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn volume_set_bootable(
        &self,
        id: &VolumeId,
        is_bootable: bool,
    ) -> Result<(), CloudError> {
        let operation = format!("set the bootable flag of volume {id}");
        self.volume_action(
            id,
            json!({ "os-set_bootable": { "bootable": is_bootable } }),
            &operation,
        )
        .await
    }

    async fn volume_set_image_metadata(
        &self,
        id: &VolumeId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let operation = format!("set image properties of volume {id}");
        self.volume_action(
            id,
            json!({ "os-set_image_metadata": { "metadata": pairs } }),
            &operation,
        )
        .await
    }

    async fn volume_metadata_remove(&self, id: &VolumeId, key: &str) -> Result<(), CloudError> {
        let operation = format!("remove metadata {key} of volume {id}");
        let request = request(Method::DELETE, &["volumes", id.as_str(), "metadata", key]);
        match self.client.send(request, &operation).await {
            // Either the key or the volume is not there.
            Err(error) if error.is_not_found() => self.volume_fetch(id).await.map(drop),
            other => other.map(drop),
        }
    }

    async fn snapshot_fetch(&self, id: &VolumeSnapshotId) -> Result<VolumeSnapshot, CloudError> {
        let operation = format!("look up volume snapshot {id}");
        let request = request(Method::GET, &["snapshots", id.as_str()]);
        let body: SnapshotBody = self.client.fetch(request, "snapshot", &operation).await?;
        Ok(body.into())
    }

    async fn snapshots_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<VolumeSnapshot>, CloudError> {
        let request = narrowed(request(Method::GET, &["snapshots", "detail"]), key, value);
        let all: Vec<SnapshotBody> = self
            .client
            .list(request, "snapshots", "list volume snapshots")
            .await?;
        let mut snapshots: Vec<VolumeSnapshot> = all.into_iter().map(Into::into).collect();
        snapshots.retain(|snapshot| has_pair(&snapshot.metadata, key, value));
        Ok(snapshots)
    }

    async fn snapshot_create(
        &self,
        new: &NewVolumeSnapshot,
    ) -> Result<VolumeSnapshotId, CloudError> {
        let operation = format!("take a snapshot of volume {}", new.volume_id);
        // `force`: of volumes in use as well; Cinder no longer wants the word from 3.66 on.
        let request = request(Method::POST, &["snapshots"]).body(json!({ "snapshot": {
            "volume_id": new.volume_id,
            "name": new.name,
            "description": new.description,
            "metadata": new.metadata,
            "force": true,
        } }));
        let created: Created<VolumeSnapshotId> =
            self.client.fetch(request, "snapshot", &operation).await?;
        Ok(created.id)
    }

    async fn snapshot_delete(&self, id: &VolumeSnapshotId) -> Result<(), CloudError> {
        let operation = format!("delete volume snapshot {id}");
        let request = request(Method::DELETE, &["snapshots", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn attachment_fetch(&self, id: &AttachmentId) -> Result<Attachment, CloudError> {
        let operation = format!("look up attachment {id}");
        let request = request(Method::GET, &["attachments", id.as_str()]);
        let body: AttachmentBody = self.client.fetch(request, "attachment", &operation).await?;
        Ok(body.into())
    }

    async fn attachment_create(
        &self,
        volume_id: &VolumeId,
        connector: &Value,
    ) -> Result<Attachment, CloudError> {
        let operation = format!("attach volume {volume_id}");
        let request = request(Method::POST, &["attachments"]).body(json!({ "attachment": {
            "volume_uuid": volume_id,
            "connector": connector,
        } }));
        let created: AttachmentBody = self.client.fetch(request, "attachment", &operation).await?;
        match self.attachment_complete(&created.id).await {
            Ok(()) => self.attachment_fetch(&created.id).await,
            Err(error) => Err(taken_back(error, self.attachment_delete(&created.id).await)),
        }
    }

    async fn attachment_delete(&self, id: &AttachmentId) -> Result<(), CloudError> {
        let operation = format!("delete attachment {id}");
        let request = request(Method::DELETE, &["attachments", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }
}

impl RestCloud {
    async fn unfinished_attachments(
        &self,
        volume_id: &VolumeId,
    ) -> Result<Vec<(AttachmentId, Option<ServerId>)>, CloudError> {
        let operation = format!("list attachments of volume {volume_id}");
        let request = request(Method::GET, &["attachments"]).query("volume_id", volume_id.as_str());
        let all: Vec<AttachmentSummary> =
            self.client.list(request, "attachments", &operation).await?;
        Ok(all
            .into_iter()
            .map(|summary| (summary.id, summary.instance))
            .collect())
    }

    /// Setting something to what it already is does no harm, so these are repeatable.
    async fn volume_action(
        &self,
        id: &VolumeId,
        action: Value,
        operation: &str,
    ) -> Result<(), CloudError> {
        let request = request(Method::POST, &["volumes", id.as_str(), "action"])
            .body(action)
            .repeatable();
        self.client.send(request, operation).await.map(drop)
    }

    /// Makes the volume `in-use`: before that it stands as `attaching`.
    async fn attachment_complete(&self, id: &AttachmentId) -> Result<(), CloudError> {
        let operation = format!("complete attachment {id}");
        let request = request(Method::POST, &["attachments", id.as_str(), "action"])
            .body(json!({ "os-complete": {} }))
            .repeatable();
        self.client.send(request, &operation).await.map(drop)
    }
}
