//! The disks that Nova itself keeps for a server: its root, if it was made of an image, and what the
//! flavor gives besides.

use serde_json::{Value, json};

use super::files::{self, GIB, MIB};
use super::server::{Call, Reply};
use super::state::State;

/// Makes their files; answers with what there is, for the server's record.
pub(super) fn make(
    state: &State,
    server_id: &str,
    flavor: &Value,
    call: &Call,
) -> Result<Value, Reply> {
    let number = |field: &str| flavor[field].as_u64().unwrap_or_default();
    let image = call.text("/server/imageRef");
    if let Some(id) = image
        && state.images.get(id).is_none()
    {
        let message = format!("Can not find requested image {id}");
        return Err(Reply::fault(400, "badRequest", message));
    }
    // Whatever the server boots from comes first.
    let mut wanted = vec![("root", number("disk") * GIB)];
    wanted.push(("ephemeral0", number("OS-FLV-EXT-DATA:ephemeral") * GIB));
    wanted.push(("swap", number("swap") * MIB));
    let mut letters = 'a'..='z';
    let mut disks = Vec::new();
    for (role, size_bytes) in wanted {
        let is_there = size_bytes > 0 && (role != "root" || image.is_some());
        if role != "root" && !is_there {
            continue;
        }
        let device = format!("vd{}", letters.next().unwrap_or('z'));
        if !is_there {
            continue;
        }
        let path = files::nova_disk_path(state.folder.path(), server_id, &device, role);
        let made = files::make(&path, size_bytes, state.file_owner);
        let filled = made.and_then(|()| match image.filter(|_| role == "root") {
            Some(id) => files::write_image(&path, id),
            None => Ok(()),
        });
        filled.map_err(|e| Reply::fault(500, "computeFault", format!("the fake cloud: {e}")))?;
        disks.push(json!({ "device": device, "role": role }));
    }
    Ok(json!(disks))
}

/// Letters of the devices that are Nova's.
pub(super) fn letters(own_disks: &Value) -> Vec<char> {
    let all = own_disks.as_array().into_iter().flatten();
    all.filter_map(|disk| disk["device"].as_str()?.chars().last())
        .collect()
}

/// The server is gone: so are its disks.
pub(super) fn remove(state: &State, server_id: &str) {
    let begin = format!("server-{server_id}.");
    let folder = std::fs::read_dir(state.folder.path());
    for entry in folder.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            // A file that stays behind goes with the folder.
            drop(files::remove(&entry.path()));
        }
    }
}
