//! Connects hosts to the new volumes that they do not reach by themselves.

use async_trait::async_trait;

use super::choose_hosts::{ChooseHosts, host_of};
use super::create_volumes::{CreateVolumes, Filling, new_disk};
use super::read_backup::ReadBackup;
use crate::flows::volume_connections;
use crate::runner::{Step, StepContext, StepFailure};

/// Connects, or finds what this flow has connected.
#[derive(Debug)]
pub(super) struct ConnectVolumes;

#[async_trait]
impl Step for ConnectVolumes {
    const NAME: &'static str = "connect_volumes";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let hosts = cx.output_of::<ChooseHosts>()?;
        let made = cx.output_of::<CreateVolumes>()?;
        for disk in &cx.output_of::<ReadBackup>()?.disks {
            let new = new_disk(&made, &disk.disk_id)?;
            let Some(filling) = new.filling.as_ref().filter(|it| is_connected(it)) else {
                continue;
            };
            let storage = cx.tenant().await?.block_storage();
            let attachment = storage.attachment_fetch(&filling.attachment_id).await?;
            let host = host_of(&hosts, &disk.server_id)?;
            let size = volume_connections::open(cx, &host, &disk.disk_id, &attachment).await?;
            if size < disk.size_bytes {
                return Err(StepFailure::new(format!(
                    "New volume {} has {size} bytes, its disk needs {}",
                    new.volume_id, disk.size_bytes
                )));
            }
        }
        Ok(())
    }
}

fn is_connected(filling: &Filling) -> bool {
    filling.storage.is_connected()
}

/// Disconnects from every volume that this flow may have connected.
pub(super) async fn disconnect(cx: &StepContext) -> Result<(), StepFailure> {
    let hosts = cx.output_of::<ChooseHosts>()?;
    let made = cx.output_of::<CreateVolumes>()?;
    for disk in &cx.output_of::<ReadBackup>()?.disks {
        let new = new_disk(&made, &disk.disk_id)?;
        if new.filling.as_ref().is_some_and(is_connected) {
            let host = host_of(&hosts, &disk.server_id)?;
            volume_connections::close(cx, &host, &disk.disk_id, &new.volume_id).await?;
        }
    }
    Ok(())
}
