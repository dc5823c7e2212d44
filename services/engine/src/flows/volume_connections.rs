//! Connecting a host to volumes that it cannot reach by itself.

use std::time::Duration;

use agent_contract::{ConnectionId, ConnectionRequest};
use serde_json::{Value, json};
use services_openstack::ports::Attachment;
use services_types::{DiskId, VolumeId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::context::FlowContext;
use crate::datamovers;
use crate::runner::StepFailure;

/// Between attempts to disconnect from a volume on a host that does not answer.
const PAUSE: Duration = Duration::from_millis(800);

/// The connection for a disk in this flow: derived, so that a repeated step asks for the same one.
pub(super) fn id(cx: &FlowContext, disk_id: &DiskId) -> ConnectionId {
    let name = format!("connection {disk_id}");
    ConnectionId(Uuid::new_v5(cx.claim().flow_id.as_uuid(), name.as_bytes()))
}

/// What Cinder must know of a host to export a volume to it. A host without the means to connect to
/// volumes still serves those that it reaches by itself (Ceph): for these a name is enough.
pub(super) async fn connector(cx: &FlowContext, host: &str) -> Result<Value, StepFailure> {
    match cx.datamover().await?.connector(host).await {
        Ok(connector) => Ok(connector.0),
        Err(error) if error.refusal().is_some() && !error.is_transient() => Ok(json!({
            "host": host, "platform": "x86_64", "os_type": "linux", "multipath": false,
        })),
        Err(error) => {
            let words = "A host cannot be asked how volumes are exported to it";
            Err(datamovers::failure(cx, words, &error).await)
        }
    }
}

/// Connects the host to a volume, or finds it connected; gives the size that the host sees.
pub(super) async fn open(
    cx: &FlowContext,
    host: &str,
    disk_id: &DiskId,
    attachment: &Attachment,
) -> Result<u64, StepFailure> {
    let id = id(cx, disk_id);
    let request = ConnectionRequest {
        epoch: cx.claim().epoch,
        connection_info: attachment.connection_info.clone(),
    };
    let asked = cx.datamover().await?.connection_open(host, id, &request);
    match asked.await {
        Ok(status) => Ok(status.size_bytes),
        Err(error) => {
            let driver = request.connection_info.get("driver_volume_type");
            let driver = driver.and_then(Value::as_str).unwrap_or("unknown");
            let words = format!(
                "The host cannot be connected to volume {} (storage of type `{driver}`)",
                attachment.volume_id
            );
            Err(datamovers::failure(cx, words, &error).await)
        }
    }
}

/// Disconnects it; one that was never connected is success. A host that does not answer is asked again
/// for as long as the settings have patience.
pub(super) async fn close(
    cx: &FlowContext,
    host: &str,
    disk_id: &DiskId,
    volume_id: &VolumeId,
) -> Result<(), StepFailure> {
    let (id, epoch) = (id(cx, disk_id), cx.claim().epoch);
    let limit = Instant::now() + cx.settings().cloud_patience;
    loop {
        match cx
            .datamover()
            .await?
            .connection_close(host, id, epoch)
            .await
        {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && Instant::now() < limit => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                let words = format!("A host may still be connected to volume {volume_id}");
                return Err(datamovers::failure(cx, words, &error).await);
            }
        }
    }
}
