//! What a check made is deleted, last things first, whatever happened.

use std::sync::Mutex;

use services_openstack::{Cloud, CloudError};
use services_types::{AttachmentId, PortId, SecurityGroupId, ServerId, VolumeId, VolumeSnapshotId};

use crate::site::wait_until;

#[derive(Clone, Debug)]
pub(crate) enum Made {
    Volume(VolumeId),
    Snapshot(VolumeSnapshotId),
    Attachment(AttachmentId),
    Server(ServerId),
    Port(PortId),
    SecurityGroup(SecurityGroupId),
}

#[derive(Default)]
pub(crate) struct Cleanup(Mutex<Vec<Made>>);

impl Cleanup {
    pub(crate) fn add(&self, made: Made) {
        self.0.lock().unwrap().push(made);
    }

    /// Answers with what could not be deleted.
    pub(crate) async fn run(&self, cloud: &dyn Cloud) -> Vec<String> {
        let mut left = Vec::new();
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        for made in all.iter().rev() {
            if let Err(error) = delete(cloud, made).await {
                left.push(format!("{made:?}: {error}"));
            }
        }
        left
    }
}

/// Deletes and waits until it is gone. A conflict is often somebody else's work in passing.
async fn delete(cloud: &dyn Cloud, made: &Made) -> Result<(), CloudError> {
    let is_gone = |result: &Result<(), CloudError>| matches!(result, Err(e) if e.is_not_found());
    let ended = wait_until(
        &format!("delete {made:?}"),
        || delete_once(cloud, made),
        is_gone,
    )
    .await;
    match ended {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn delete_once(cloud: &dyn Cloud, made: &Made) -> Result<(), CloudError> {
    match made {
        Made::Volume(id) => cloud.block_storage().volume_delete(id).await,
        Made::Snapshot(id) => cloud.block_storage().snapshot_delete(id).await,
        Made::Attachment(id) => cloud.block_storage().attachment_delete(id).await,
        Made::Server(id) => cloud.compute().server_delete(id).await,
        Made::Port(id) => cloud.network().port_delete(id).await,
        Made::SecurityGroup(id) => cloud.network().security_group_delete(id).await,
    }
}
