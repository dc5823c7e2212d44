//! Nova: servers made of volumes and ports, flavors, key pairs.

use serde_json::{Value, json};

use super::cinder;
use super::item::{Item, Next};
use super::nova_disks;
use super::server::{Call, Outcome, Reply};
use super::state::{State, Who, new_id};

pub(super) fn answer(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let (method, path) = call.route();
    match (method, path.as_slice()) {
        ("POST", ["servers"]) => server_create(state, who, call),
        ("GET", ["servers", "detail"]) => server_list(state, who, call),
        ("GET", ["servers", id]) => server_show(state, who, id),
        ("DELETE", ["servers", id]) => server_delete(state, who, id),
        ("GET", ["servers", id, "os-volume_attachments"]) => volume_attachments(state, who, id),
        ("POST", ["servers", id, "metadata"]) => metadata_set(state, who, call, id),
        ("DELETE", ["servers", id, "metadata", key]) => metadata_delete(state, who, id, key),
        ("GET", ["flavors", "detail"]) => flavor_list(state, who, call),
        ("POST", ["flavors"]) => flavor_create(state, who, call),
        ("DELETE", ["flavors", id]) => flavor_delete(state, who, id),
        ("POST", ["flavors", id, "os-extra_specs"]) => extra_specs_set(state, who, call, id),
        ("POST", ["flavors", id, "action"]) => flavor_open(state, who, call, id),
        ("POST", ["os-keypairs"]) => key_pair_create(state, who, call),
        ("GET", ["os-keypairs", name]) => key_pair_show(state, who, name),
        ("DELETE", ["os-keypairs", name]) => key_pair_delete(state, who, name),
        _ => Err(not_found("The resource")),
    }
}

fn not_found(what: &str) -> Reply {
    Reply::fault(404, "itemNotFound", format!("{what} could not be found."))
}

fn bad_request(message: impl Into<String>) -> Reply {
    Reply::fault(400, "badRequest", message)
}

fn admin_only(who: &Who) -> Result<(), Reply> {
    let message = "Policy doesn't allow this operation to be performed.";
    if who.is_admin {
        Ok(())
    } else {
        Err(Reply::fault(403, "forbidden", message))
    }
}

fn server<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    let found = state.servers.get_mut(id);
    found
        .filter(|item| who.is_admin || item.project_id == who.project_id)
        .ok_or_else(|| not_found(&format!("Instance {id}")))
}

fn texts(call: &Call, pointer: &str, field: &str) -> Vec<String> {
    let list = call.body.pointer(pointer).and_then(Value::as_array);
    let items = list.into_iter().flatten();
    items
        .filter_map(|item| item[field].as_str())
        .map(str::to_owned)
        .collect()
}

fn server_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let flavor_id = call.text("/server/flavorRef").unwrap_or_default();
    let flavor = state.flavors.get(flavor_id).map(|item| item.body.clone());
    let flavor =
        flavor.ok_or_else(|| bad_request(format!("Flavor {flavor_id} could not be found.")))?;
    if state.servers.ids_of(&who.project_id).len() >= state.quotas.instances {
        return Err(Reply::fault(
            403,
            "forbidden",
            "Quota exceeded for instances: Requested 1, but already used all.",
        ));
    }
    if let Some(name) = call.text("/server/key_name")
        && !state
            .key_pairs
            .contains_key(&(who.user_id.clone(), name.to_owned()))
    {
        return Err(bad_request("Invalid key_name provided."));
    }
    let port_ids = texts(call, "/server/networks", "port");
    let volume_ids = texts(call, "/server/block_device_mapping_v2", "uuid");
    check_ports(state, who, &port_ids)?;
    check_volumes(state, who, &volume_ids)?;

    let id = new_id();
    let mut body = server_body(&id, state.servers.iter().count(), &flavor, who, call);
    body["OS-EXT-SRV-ATTR:host"] = state.host_name.as_str().into();
    body["own_disks"] = nova_disks::make(state, &id, &flavor, call)?;
    body["image"] = match call.text("/server/imageRef") {
        Some(image) => json!({ "id": image }),
        None => json!(""),
    };
    let mut item = Item::new(&who.project_id, body);
    match state.next_build_fault.take() {
        None => item.after_looks(state.looks, Next::Become("ACTIVE")),
        Some(message) => {
            item.set("next_fault", message);
            item.after_looks(state.looks, Next::Become("ERROR"));
        }
    }
    state.servers.add(&id, item);
    for port in port_ids {
        if let Some(port) = state.ports.get_mut(&port) {
            port.set("device_id", id.as_str());
            port.set("device_owner", "compute:nova");
        }
    }
    for volume_id in volume_ids {
        cinder::attach(state, &volume_id, json!(id), "reserved");
        if let Some(volume) = state.volumes.get_mut(&volume_id) {
            volume.set("status", "reserved");
        }
    }
    Ok(Reply::new(202, json!({ "server": { "id": id } })))
}

fn check_ports(state: &State, who: &Who, ids: &[String]) -> Result<(), Reply> {
    for id in ids {
        let port = state
            .ports
            .get(id)
            .filter(|port| port.project_id == who.project_id);
        let port = port.ok_or_else(|| bad_request(format!("Port id {id} could not be found.")))?;
        if !port.text("device_id").is_empty() {
            return Err(Reply::fault(
                409,
                "conflictingRequest",
                format!("Port {id} is still in use."),
            ));
        }
    }
    Ok(())
}

fn check_volumes(state: &State, who: &Who, ids: &[String]) -> Result<(), Reply> {
    for id in ids {
        let volume = state
            .volumes
            .get(id)
            .filter(|volume| volume.project_id == who.project_id);
        let volume = volume.ok_or_else(|| {
            bad_request(format!(
                "Block Device Mapping is Invalid: failed to get volume {id}."
            ))
        })?;
        if !cinder::is_free(volume) {
            return Err(bad_request(format!(
                "Invalid volume: volume {id} is {}",
                volume.status()
            )));
        }
    }
    Ok(())
}

fn server_body(id: &str, number: usize, flavor: &Value, who: &Who, call: &Call) -> Value {
    let config_drive = call
        .body
        .pointer("/server/config_drive")
        .and_then(Value::as_bool)
        == Some(true);
    json!({
        "id": id,
        "name": call.text("/server/name"),
        "status": "BUILD",
        "tenant_id": who.project_id,
        "user_id": who.user_id,
        "OS-EXT-AZ:availability_zone": call.text("/server/availability_zone").unwrap_or("nova"),
        "OS-EXT-SRV-ATTR:instance_name": format!("instance-{:08x}", number + 1),
        "OS-EXT-SRV-ATTR:user_data": call.text("/server/user_data"),
        "metadata": call.object("/server/metadata"),
        "key_name": call.text("/server/key_name"),
        "config_drive": if config_drive { "True" } else { "" },
        "flavor": {
            "original_name": flavor["name"], "vcpus": flavor["vcpus"], "ram": flavor["ram"],
            "disk": flavor["disk"], "ephemeral": flavor["OS-FLV-EXT-DATA:ephemeral"],
            "swap": flavor["swap"], "extra_specs": flavor["extra_specs"],
        },
        "disks": call.body.pointer("/server/block_device_mapping_v2"),
    })
}

fn server_list(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let ids = state.servers.ids_of(&who.project_id);
    let all = ids
        .iter()
        .filter_map(|id| looked_at(state, who, id))
        .collect();
    Ok(state.page(call, "servers", all))
}

fn server_show(state: &mut State, who: &Who, id: &str) -> Outcome {
    server(state, who, id)?;
    let body = looked_at(state, who, id).ok_or_else(|| not_found("Instance"))?;
    Ok(Reply::ok(json!({ "server": body })))
}

/// What Nova shows of a server, and what comes to pass while one looks.
fn looked_at(state: &mut State, who: &Who, id: &str) -> Option<Value> {
    match state.servers.look(id) {
        Some(Next::Become("ACTIVE")) => connect_disks(state, id),
        Some(Next::Become(_)) => fail_build(state, id),
        Some(Next::Vanish) => forget_server(state, id),
        None => {}
    }
    let mut body = state.servers.get(id)?.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !["disks", "own_disks", "next_fault"].contains(&name.as_str()));
        if !who.is_admin {
            fields.retain(|name, _| !name.starts_with("OS-EXT-SRV-ATTR:"));
        }
    }
    Some(body)
}

fn fail_build(state: &mut State, id: &str) {
    if let Some(item) = state.servers.get_mut(id) {
        let message = item.body["next_fault"].clone();
        item.set("fault", json!({ "code": 500, "message": message }));
    }
}

fn attachments_of(state: &State, server_id: &str) -> Vec<(String, String)> {
    let all = state
        .attachments
        .iter()
        .filter(|(_, item)| item.text("instance") == server_id);
    all.map(|(id, item)| (id.clone(), item.text("volume_id").to_owned()))
        .collect()
}

fn connect_disks(state: &mut State, id: &str) {
    for (attachment_id, volume_id) in attachments_of(state, id) {
        if let Some(attachment) = state.attachments.get_mut(&attachment_id) {
            attachment.set("status", "attached");
        }
        if let Some(volume) = state.volumes.get_mut(&volume_id) {
            volume.set("status", "in-use");
        }
    }
}

fn server_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    let looks = state.looks;
    server(state, who, id)?;
    looked_at(state, who, id);
    let item = server(state, who, id)?;
    if !item.is_vanishing() {
        item.after_looks(looks, Next::Vanish);
        // Nova lets go of ports and disks early, and of the server's row at the end.
        release(state, id);
    }
    Ok(Reply::done())
}

fn release(state: &mut State, id: &str) {
    let disks = state
        .servers
        .get(id)
        .map(|item| item.body["disks"].clone())
        .unwrap_or_default();
    for (attachment_id, volume_id) in attachments_of(state, id) {
        cinder::detach(state, &attachment_id);
        let is_disk = |disk: &&Value| disk["uuid"].as_str() == Some(&volume_id);
        let disk = disks.as_array().and_then(|all| all.iter().find(is_disk));
        let goes_too = disk.is_some_and(|disk| disk["delete_on_termination"] == json!(true));
        if goes_too && !cinder::has_snapshots(state, &volume_id) {
            cinder::start_deleting_volume(state, &volume_id);
        }
    }
    let is_ours = |item: &Item| item.text("device_id") == id;
    let ports: Vec<String> = state
        .ports
        .iter()
        .filter(|(_, item)| is_ours(item))
        .map(|(port_id, _)| port_id.clone())
        .collect();
    for port in ports {
        if let Some(port) = state.ports.get_mut(&port) {
            port.set("device_id", "");
            port.set("device_owner", "");
        }
    }
}

/// The server is gone, and what it held is free.
pub(super) fn forget_server(state: &mut State, id: &str) {
    release(state, id);
    state.servers.remove(id);
    nova_disks::remove(state, id);
}

fn volume_attachments(state: &mut State, who: &Who, id: &str) -> Outcome {
    let disks = server(state, who, id)?.body["disks"].clone();
    let attachments = attachments_of(state, id);
    let own = nova_disks::letters(&server(state, who, id)?.body["own_disks"]);
    let free: Vec<char> = ('a'..='z').filter(|letter| !own.contains(letter)).collect();
    let describe = |(number, disk): (usize, &Value)| {
        let volume_id = disk["uuid"].as_str()?;
        let (attachment_id, _) = attachments.iter().find(|(_, volume)| volume == volume_id)?;
        let letter = free.get(number)?;
        Some(json!({
            "attachment_id": attachment_id, "volumeId": volume_id, "serverId": id,
            "device": format!("/dev/vd{letter}"), "delete_on_termination": disk["delete_on_termination"],
        }))
    };
    let all: Vec<Value> = disks
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(describe)
        .collect();
    Ok(Reply::ok(json!({ "volumeAttachments": all })))
}

fn metadata_set(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    let item = server(state, who, id)?;
    if let (Value::Object(new), Some(old)) = (
        call.object("/metadata"),
        item.body["metadata"].as_object_mut(),
    ) {
        old.extend(new);
    }
    Ok(Reply::ok(json!({ "metadata": item.body["metadata"] })))
}

fn metadata_delete(state: &mut State, who: &Who, id: &str, key: &str) -> Outcome {
    let removed = server(state, who, id)?.body["metadata"]
        .as_object_mut()
        .and_then(|pairs| pairs.remove(key));
    removed
        .map(|_| Reply::done())
        .ok_or_else(|| not_found("Metadata item"))
}

fn flavor_list(state: &State, who: &Who, call: &Call) -> Outcome {
    let is_open = |item: &Item| {
        let projects = item.body["projects"].as_array();
        item.body["os-flavor-access:is_public"] == json!(true)
            || projects.is_some_and(|all| all.contains(&json!(who.project_id)))
    };
    let all = state
        .flavors
        .iter()
        .filter(|(_, item)| is_open(item))
        .map(|(_, item)| item.body.clone())
        .collect();
    Ok(state.page(call, "flavors", all))
}

fn flavor_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    admin_only(who)?;
    let mut body = call.object("/flavor");
    let is_taken = |item: &Item| item.body["name"] == body["name"];
    if state.flavors.iter().any(|(_, item)| is_taken(item)) {
        return Err(Reply::fault(
            409,
            "conflictingRequest",
            "Flavor with this name already exists.",
        ));
    }
    let id = body["id"].as_str().map_or_else(new_id, str::to_owned);
    if state.flavors.get(&id).is_some() {
        let why = format!("Flavor with ID {id} already exists.");
        return Err(Reply::fault(409, "conflictingRequest", &why));
    }
    body["id"] = json!(id);
    body["extra_specs"] = json!({});
    body["projects"] = json!([]);
    state.flavors.add(&id, Item::new("", body.clone()));
    Ok(Reply::ok(json!({ "flavor": body })))
}

fn flavor<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    admin_only(who)?;
    state
        .flavors
        .get_mut(id)
        .ok_or_else(|| not_found(&format!("Flavor {id}")))
}

fn flavor_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    flavor(state, who, id)?;
    state.flavors.remove(id);
    Ok(Reply::new(202, Value::Null))
}

fn extra_specs_set(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    let specs = call.object("/extra_specs");
    flavor(state, who, id)?.set("extra_specs", specs.clone());
    Ok(Reply::ok(json!({ "extra_specs": specs })))
}

fn flavor_open(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    let project = call
        .text("/addTenantAccess/tenant")
        .ok_or_else(|| bad_request("No such action."))?;
    flavor(state, who, id)?.set("projects", json!([project]));
    Ok(Reply::ok(json!({ "flavor_access": [] })))
}

fn key_pair_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let name = call
        .text("/keypair/name")
        .ok_or_else(|| bad_request("no name"))?;
    let body = json!({ "keypair": { "name": name } });
    state
        .key_pairs
        .insert((who.user_id.clone(), name.to_owned()), body.clone());
    Ok(Reply::new(201, body))
}

fn key_pair_show(state: &State, who: &Who, name: &str) -> Outcome {
    let found = state.key_pairs.get(&(who.user_id.clone(), name.to_owned()));
    found
        .cloned()
        .map(Reply::ok)
        .ok_or_else(|| not_found(&format!("Keypair {name}")))
}

fn key_pair_delete(state: &mut State, who: &Who, name: &str) -> Outcome {
    let removed = state
        .key_pairs
        .remove(&(who.user_id.clone(), name.to_owned()));
    removed
        .map(|_| Reply::done())
        .ok_or_else(|| not_found(&format!("Keypair {name}")))
}
