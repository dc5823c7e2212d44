//! Cinder: volumes, snapshots, attachments, with files behind them.

use std::io;

use serde_json::{Value, json};

use super::files;
use super::item::{Item, Next};
use super::server::{Call, Outcome, Reply};
use super::state::{State, Who, new_id};
use super::volume_kinds;

pub(super) fn answer(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let (method, path) = call.route();
    match (method, path.as_slice()) {
        ("GET", ["os-quota-sets", _]) => quota_show(state),
        ("POST", ["volumes"]) => volume_create(state, who, call),
        ("GET", ["volumes", "detail"]) => volume_list(state, who, call),
        ("GET", ["volumes", id]) => volume_show(state, who, id),
        ("DELETE", ["volumes", id]) => volume_delete(state, who, id),
        ("POST", ["volumes", id, "action"]) => volume_action(state, who, call, id),
        ("DELETE", ["volumes", id, "metadata", key]) => metadata_delete(state, who, id, key),
        ("POST", ["snapshots"]) => snapshot_create(state, who, call),
        ("GET", ["snapshots", "detail"]) => snapshot_list(state, who, call),
        ("GET", ["snapshots", id]) => snapshot_show(state, who, id),
        ("DELETE", ["snapshots", id]) => snapshot_delete(state, who, id),
        ("POST", ["attachments"]) => attachment_create(state, who, call),
        ("GET", ["attachments"]) => Ok(attachment_list(state, who, call)),
        ("GET", ["attachments", id]) => attachment_show(state, who, id),
        ("DELETE", ["attachments", id]) => attachment_delete(state, who, id),
        ("POST", ["attachments", id, "action"]) => attachment_complete(state, who, id),
        _ => Err(not_found("The resource")),
    }
}

fn not_found(what: &str) -> Reply {
    Reply::fault(404, "itemNotFound", format!("{what} could not be found."))
}

fn bad_request(message: impl Into<String>) -> Reply {
    Reply::fault(400, "badRequest", message)
}

fn over_quota(message: &str) -> Reply {
    Reply::fault(413, "overLimit", message)
}

fn broken_disk(error: io::Error) -> Reply {
    Reply::fault(
        500,
        "computeFault",
        format!("the fake cloud's files: {error}"),
    )
}

fn visible<'a>(
    item: Option<&'a mut Item>,
    who: &Who,
    what: &str,
    id: &str,
) -> Result<&'a mut Item, Reply> {
    item.filter(|item| who.is_admin || item.project_id == who.project_id)
        .ok_or_else(|| not_found(&format!("{what} {id}")))
}

fn volume<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    visible(state.volumes.get_mut(id), who, "Volume", id)
}

fn quota_show(state: &State) -> Outcome {
    let quotas = state.quotas;
    Ok(Reply::ok(json!({ "quota_set": {
        "volumes": quotas.volumes, "gigabytes": quotas.gigabytes, "snapshots": quotas.snapshots,
    } })))
}

/// `?metadata={'key': 'value'}`, as far as the adapter goes in writing it.
fn has_wanted_metadata(call: &Call, item: &Item) -> bool {
    let Some(filter) = call.param("metadata") else {
        return true;
    };
    let filter: Value = serde_json::from_str(&filter.replace('\'', "\"")).unwrap_or_default();
    filter.as_object().is_some_and(|pairs| {
        pairs
            .iter()
            .all(|(key, value)| item.body["metadata"].get(key) == Some(value))
    })
}

fn volume_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let size = call
        .body
        .pointer("/volume/size")
        .and_then(Value::as_u64)
        .filter(|size| *size > 0);
    let size = size.ok_or_else(|| bad_request("Invalid input received: size"))?;
    let own = state.volumes.ids_of(&who.project_id);
    let used: u64 = own
        .iter()
        .filter_map(|id| state.volumes.get(id)?.body["size"].as_u64())
        .sum();
    if own.len() >= state.quotas.volumes {
        return Err(over_quota(
            "VolumeLimitExceeded: Maximum number of volumes allowed exceeded for quota 'volumes'.",
        ));
    }
    if used + size > state.quotas.gigabytes {
        return Err(over_quota(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota.",
        ));
    }
    let content = volume_kinds::content(state, who, call)?;
    let id = new_id();
    let path = files::volume_path(state.folder.path(), &id);
    volume_kinds::fill(state, &path, size, &content).map_err(broken_disk)?;
    let volume_type = content.volume_type.as_deref();
    let volume_type = volume_type.or(call.text("/volume/volume_type"));
    let volume_type = volume_type.unwrap_or(volume_kinds::DEFAULT);
    let body = json!({
        "id": id,
        "name": call.text("/volume/name"),
        "description": call.text("/volume/description"),
        "status": "creating",
        "size": size,
        "volume_type": volume_type,
        "availability_zone": call.text("/volume/availability_zone").unwrap_or("nova"),
        "bootable": content.image_metadata.is_object().to_string(),
        "multiattach": volume_type == volume_kinds::MULTI,
        "encrypted": volume_type == volume_kinds::ENCRYPTED,
        "metadata": call.object("/volume/metadata"),
        "volume_image_metadata":
            if content.image_metadata.is_object() { content.image_metadata } else { json!({}) },
        "attachments": [],
    });
    let mut item = Item::new(&who.project_id, body);
    item.after_looks(state.looks, Next::Become("available"));
    let reply = item.body.clone();
    state.volumes.add(&id, item);
    Ok(Reply::new(202, json!({ "volume": reply })))
}

fn volume_list(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let ids = state.volumes.ids_of(&who.project_id);
    let looked: Vec<Value> = ids
        .iter()
        .filter_map(|id| looked_at_volume(state, id))
        .collect();
    let wanted = |id: &Value| {
        let item = id["id"].as_str().and_then(|id| state.volumes.get(id));
        item.is_some_and(|item| has_wanted_metadata(call, item))
    };
    let all = looked.into_iter().filter(wanted).collect();
    Ok(state.page(call, "volumes", all))
}

fn volume_show(state: &mut State, who: &Who, id: &str) -> Outcome {
    volume(state, who, id)?;
    let body = looked_at_volume(state, id).ok_or_else(|| not_found("Volume"))?;
    Ok(Reply::ok(json!({ "volume": body })))
}

fn looked_at_volume(state: &mut State, id: &str) -> Option<Value> {
    if state.volumes.look(id) == Some(Next::Vanish) {
        forget_volume(state, id);
    }
    let mut body = state.volumes.get(id)?.body.clone();
    let of_volume = |item: &Item| item.text("volume_id") == id && item.status() == "attached";
    let attachments = state.attachments.iter().filter(|(_, item)| of_volume(item));
    body["attachments"] = attachments
        .map(|(attachment_id, item)| {
            json!({ "id": id, "volume_id": id, "attachment_id": attachment_id, "server_id": item.body["instance"] })
        })
        .collect();
    Some(body)
}

/// The volume is gone: so is its file.
pub(super) fn forget_volume(state: &mut State, id: &str) {
    state.volumes.remove(id);
    // A file that stays behind goes with the folder.
    drop(files::remove(&files::volume_path(state.folder.path(), id)));
}

pub(super) fn has_snapshots(state: &State, volume_id: &str) -> bool {
    state
        .snapshots
        .iter()
        .any(|(_, snapshot)| snapshot.text("volume_id") == volume_id)
}

fn volume_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    volume(state, who, id)?;
    looked_at_volume(state, id);
    let status = volume(state, who, id)?.status().to_owned();
    if status == "deleting" {
        return Ok(Reply::new(202, Value::Null));
    }
    if !["available", "error"].contains(&status.as_str()) || has_snapshots(state, id) {
        return Err(bad_request(
            "Invalid volume: Volume status must be available or error or error_restoring or error_extending \
             or error_managing and must not be migrating, attached, belong to a group, have snapshots.",
        ));
    }
    start_deleting_volume(state, id);
    Ok(Reply::new(202, Value::Null))
}

pub(super) fn start_deleting_volume(state: &mut State, id: &str) {
    let looks = state.looks;
    if let Some(item) = state.volumes.get_mut(id) {
        item.set("status", "deleting");
        item.after_looks(looks, Next::Vanish);
    }
}

fn volume_action(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    let item = volume(state, who, id)?;
    if let Some(bootable) = call
        .body
        .pointer("/os-set_bootable/bootable")
        .and_then(Value::as_bool)
    {
        item.set("bootable", bootable.to_string());
        return Ok(Reply::new(200, Value::Null));
    }
    let pairs = call.object("/os-set_image_metadata/metadata");
    if let (Value::Object(new), Some(old)) =
        (pairs, item.body["volume_image_metadata"].as_object_mut())
    {
        old.extend(new);
    }
    Ok(Reply::ok(
        json!({ "metadata": item.body["volume_image_metadata"] }),
    ))
}

fn metadata_delete(state: &mut State, who: &Who, id: &str, key: &str) -> Outcome {
    let metadata = volume(state, who, id)?.body["metadata"]
        .as_object_mut()
        .and_then(|pairs| pairs.remove(key));
    metadata
        .map(|_| Reply::new(200, Value::Null))
        .ok_or_else(|| not_found("Volume metadata"))
}

fn snapshot_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let volume_id = call
        .text("/snapshot/volume_id")
        .unwrap_or_default()
        .to_owned();
    let looks = state.looks;
    let of = volume(state, who, &volume_id)?;
    let (status, size) = (of.status().to_owned(), of.body["size"].clone());
    if !["available", "in-use"].contains(&status.as_str()) {
        return Err(bad_request(format!(
            "Invalid volume: Volume {volume_id} status must be available or in-use, but current status is: {status}."
        )));
    }
    if state.snapshots.ids_of(&who.project_id).len() >= state.quotas.snapshots {
        return Err(over_quota(
            "SnapshotLimitExceeded: Maximum number of snapshots allowed exceeded.",
        ));
    }
    let id = new_id();
    let folder = state.folder.path();
    let (from, to) = (
        files::volume_path(folder, &volume_id),
        files::snapshot_path(folder, &volume_id, &id),
    );
    files::copy(&from, &to).map_err(broken_disk)?;
    let body = json!({
        "id": id,
        "volume_id": volume_id,
        "name": call.text("/snapshot/name"),
        "description": call.text("/snapshot/description"),
        "status": "creating",
        "size": size,
        "metadata": call.object("/snapshot/metadata"),
    });
    let mut item = Item::new(&who.project_id, body);
    item.after_looks(looks, Next::Become("available"));
    let reply = item.body.clone();
    state.snapshots.add(&id, item);
    Ok(Reply::new(202, json!({ "snapshot": reply })))
}

fn snapshot<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    visible(state.snapshots.get_mut(id), who, "Snapshot", id)
}

fn snapshot_list(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let ids = state.snapshots.ids_of(&who.project_id);
    for id in &ids {
        look_at_snapshot(state, id);
    }
    let left = ids.iter().filter_map(|id| state.snapshots.get(id));
    let all = left
        .filter(|item| has_wanted_metadata(call, item))
        .map(|item| item.body.clone())
        .collect();
    Ok(state.page(call, "snapshots", all))
}

fn snapshot_show(state: &mut State, who: &Who, id: &str) -> Outcome {
    snapshot(state, who, id)?;
    look_at_snapshot(state, id);
    Ok(Reply::ok(
        json!({ "snapshot": snapshot(state, who, id)?.body }),
    ))
}

fn look_at_snapshot(state: &mut State, id: &str) {
    let volume_id = state
        .snapshots
        .get(id)
        .map(|item| item.text("volume_id").to_owned());
    if let (Some(Next::Vanish), Some(volume_id)) = (state.snapshots.look(id), volume_id) {
        drop(files::remove(&files::snapshot_path(
            state.folder.path(),
            &volume_id,
            id,
        )));
    }
}

/// The snapshot is gone: so is its file.
pub(super) fn forget_snapshot(state: &mut State, id: &str) {
    if let Some(item) = state.snapshots.remove(id) {
        let path = files::snapshot_path(state.folder.path(), item.text("volume_id"), id);
        drop(files::remove(&path));
    }
}

fn snapshot_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    let looks = state.looks;
    snapshot(state, who, id)?;
    look_at_snapshot(state, id);
    let item = snapshot(state, who, id)?;
    if !["available", "error"].contains(&item.status()) {
        return Err(bad_request(
            "Invalid snapshot: Snapshot status must be available or error.",
        ));
    }
    item.set("status", "deleting");
    item.after_looks(looks, Next::Vanish);
    Ok(Reply::new(202, Value::Null))
}

fn attachment_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let volume_id = call
        .text("/attachment/volume_uuid")
        .unwrap_or_default()
        .to_owned();
    let item = volume(state, who, &volume_id)?;
    let status = item.status().to_owned();
    volume_kinds::check_connector(
        item.text("volume_type"),
        &call.object("/attachment/connector"),
    )?;
    if !is_free(item) {
        return Err(bad_request(format!(
            "Invalid volume: Volume {volume_id} status must be available or downloading to reserve, but the current status is {status}."
        )));
    }
    item.set("status", "attaching");
    let id = attach(state, &volume_id, Value::Null, "reserved");
    Ok(Reply::ok(
        json!({ "attachment": state.attachments.get(&id).map(|item| &item.body) }),
    ))
}

/// Nobody has it, or several may.
pub(super) fn is_free(volume: &Item) -> bool {
    let may_be_shared = volume.body["multiattach"] == json!(true);
    volume.status() == "available" || may_be_shared && volume.status() == "in-use"
}

/// An attachment of a volume, for a server or for a host.
pub(super) fn attach(state: &mut State, volume_id: &str, server_id: Value, status: &str) -> String {
    let id = new_id();
    let path = files::volume_path(state.folder.path(), volume_id);
    let volume = state.volumes.get(volume_id);
    let project_id = volume
        .map(|item| item.project_id.clone())
        .unwrap_or_default();
    let volume_type = volume.map(|item| item.text("volume_type").to_owned());
    let connection_info =
        volume_kinds::connection_info(&volume_type.unwrap_or_default(), volume_id, &path);
    let body = json!({
        "id": id,
        "volume_id": volume_id,
        "instance": server_id,
        "status": status,
        "connection_info": connection_info,
    });
    state.attachments.add(&id, Item::new(&project_id, body));
    id
}

/// Ends an attachment; the volume is free when it was the last one.
pub(super) fn detach(state: &mut State, id: &str) {
    let Some(gone) = state.attachments.remove(id) else {
        return;
    };
    let volume_id = gone.text("volume_id");
    let is_attached = state
        .attachments
        .iter()
        .any(|(_, item)| item.text("volume_id") == volume_id);
    if let (false, Some(item)) = (is_attached, state.volumes.get_mut(volume_id)) {
        item.set("status", "available");
    }
}

fn attachment<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    visible(state.attachments.get_mut(id), who, "Volume attachment", id)
}

fn attachment_list(state: &State, who: &Who, call: &Call) -> Reply {
    let is_wanted = |item: &Item| {
        item.project_id == who.project_id
            && call
                .param("volume_id")
                .is_none_or(|wanted| item.text("volume_id") == wanted)
    };
    let found = state.attachments.iter().filter(|(_, item)| is_wanted(item));
    let summary = |(id, item): (&String, &Item)| {
        json!({
            "id": id, "status": item.status(), "instance": item.body["instance"],
            "volume_id": item.text("volume_id"),
        })
    };
    state.page(call, "attachments", found.map(summary).collect())
}

fn attachment_show(state: &mut State, who: &Who, id: &str) -> Outcome {
    Ok(Reply::ok(
        json!({ "attachment": attachment(state, who, id)?.body }),
    ))
}

fn attachment_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    if !attachment(state, who, id)?.body["instance"].is_null() && !who.is_admin {
        return Err(Reply::fault(
            409,
            "conflictingRequest",
            "Detach volume from instance using the Compute API",
        ));
    }
    detach(state, id);
    Ok(Reply::ok(json!({ "attachments": [] })))
}

fn attachment_complete(state: &mut State, who: &Who, id: &str) -> Outcome {
    let item = attachment(state, who, id)?;
    item.set("status", "attached");
    let volume_id = item.text("volume_id").to_owned();
    volume(state, who, &volume_id)?.set("status", "in-use");
    Ok(Reply::done())
}
