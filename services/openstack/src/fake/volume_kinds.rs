//! What volumes are made of, and what Cinder says of where they are: it differs by their type.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::files;
use super::server::{Call, Reply};
use super::state::{State, Who};

/// A file that everybody on the host reaches.
pub(super) const DEFAULT: &str = "fake";
/// As the default, for several servers at a time.
pub(super) const MULTI: &str = "fake-multi";
/// As the default, and Cinder says that it is encrypted.
pub(super) const ENCRYPTED: &str = "fake-encrypted";
/// A file on a share, with its snapshots beside it.
const SHARE: &str = "fake-share";
/// A block device that the host must be connected to, and that shows no snapshots.
const BLOCK: &str = "fake-block";

/// What a new volume begins with.
#[derive(Default)]
pub(super) struct Content {
    /// A volume made of a snapshot is of the snapshot's type.
    pub(super) volume_type: Option<String>,
    /// An object if it is made of an image.
    pub(super) image_metadata: Value,
    snapshot: Option<(String, String)>,
    image_id: Option<String>,
}

fn bad_request(message: impl Into<String>) -> Reply {
    Reply::fault(400, "badRequest", message)
}

pub(super) fn content(state: &State, who: &Who, call: &Call) -> Result<Content, Reply> {
    if let Some(id) = call.text("/volume/snapshot_id") {
        let found = state.snapshots.get(id);
        let found = found.filter(|snapshot| snapshot.project_id == who.project_id);
        let snapshot = found
            .ok_or_else(|| Reply::fault(404, "itemNotFound", format!("Snapshot {id} not found")))?;
        if snapshot.status() != "available" {
            return Err(bad_request("Invalid snapshot: status must be available"));
        }
        let volume_id = snapshot.text("volume_id").to_owned();
        let of = state.volumes.get(&volume_id);
        return Ok(Content {
            volume_type: of.map(|volume| volume.text("volume_type").to_owned()),
            snapshot: Some((volume_id, id.to_owned())),
            ..Content::default()
        });
    }
    let Some(id) = call.text("/volume/imageRef") else {
        return Ok(Content::default());
    };
    let image = state.images.get(id);
    let image = image.ok_or_else(|| bad_request("Invalid image identifier"))?;
    let mut image_metadata = json!({ "image_id": id, "image_name": image.body["name"] });
    if let Some(agent) = image.body.get("hw_qemu_guest_agent") {
        image_metadata["hw_qemu_guest_agent"] = agent.clone();
    }
    Ok(Content {
        image_id: Some(id.to_owned()),
        image_metadata,
        ..Content::default()
    })
}

/// Makes the volume's file.
pub(super) fn fill(state: &State, path: &Path, size_gib: u64, content: &Content) -> io::Result<()> {
    let size_bytes = size_gib * files::GIB;
    if let Some((volume_id, id)) = &content.snapshot {
        files::copy(
            &files::snapshot_path(state.folder.path(), volume_id, id),
            path,
        )?;
        return files::grow(path, size_bytes);
    }
    files::make(path, size_bytes, state.file_owner)?;
    match &content.image_id {
        Some(id) => files::write_image(path, id),
        None => Ok(()),
    }
}

/// What its driver says of a volume; `volume_id` stands in all that say no path.
pub(super) fn connection_info(volume_type: &str, volume_id: &str, path: &Path) -> Value {
    match volume_type {
        SHARE => json!({
            "driver_volume_type": "nfs", "export": "127.0.0.1:/fake",
            "name": format!("volume-{volume_id}"), "format": "raw", "volume_id": volume_id,
        }),
        BLOCK => json!({
            "driver_volume_type": "iscsi", "target_portal": "127.0.0.1:3260", "target_lun": 0,
            "target_iqn": format!("iqn.2026-01.org.fake:{volume_id}"), "volume_id": volume_id,
        }),
        _ => json!({
            "driver_volume_type": "local", "device_path": path, "access_mode": "rw",
        }),
    }
}

/// A target lets in only whom it knows.
pub(super) fn check_connector(volume_type: &str, connector: &Value) -> Result<(), Reply> {
    let is_known = connector["initiator"]
        .as_str()
        .is_some_and(|name| !name.is_empty());
    if volume_type == BLOCK && !is_known {
        return Err(bad_request(
            "Invalid input received: Connector doesn't have required information: initiator",
        ));
    }
    Ok(())
}
