//! The parts of a snapshot that `--output` lists one by one.

use serde_json::{Map, Value};

use crate::api::text;
use crate::output::{Column, column};

pub(crate) const DISKS: &[Column] = &[
    column("Instance ID", "instance_id"),
    column("Instance", "instance_name"),
    column("Volume ID", "volume_id"),
    column("Name", "volume_name"),
    column("Size", "volume_size"),
    column("Type", "volume_type"),
    column("Device", "volume_mountpoint"),
    column("Restore Size", "restore_size"),
];

pub(crate) const NETWORKS: &[Column] = &[
    column("Instance ID", "instance_id"),
    column("Instance", "instance_name"),
    column("Network", "network_name"),
    column("Subnet", "subnet_name"),
    column("IP Address", "ip_address"),
    column("MAC Address", "mac_address"),
];

pub(crate) const METADATA: &[Column] = &[column("Key", "key"), column("Value", "value")];

/// The disks of all members, each with its member.
pub(crate) fn disks(snapshot: &Value) -> Vec<Value> {
    of_members(snapshot, "vdisks")
}

/// The network cards of all members, each with its member and the names of its network.
pub(crate) fn networks(snapshot: &Value) -> Vec<Value> {
    let mut cards = of_members(snapshot, "nics");
    for card in &mut cards {
        let network = card.get("network").cloned().unwrap_or_default();
        let subnet = network.get("subnet").cloned().unwrap_or_default();
        add(card, "network_name", text(&network, "name"));
        add(card, "subnet_name", text(&subnet, "name"));
    }
    cards
}

/// The snapshot's metadata: a list of keys and values, or an object.
pub(crate) fn metadata(snapshot: &Value) -> Vec<Value> {
    match snapshot.get("metadata") {
        Some(Value::Array(pairs)) => pairs.clone(),
        Some(Value::Object(members)) => members
            .iter()
            .map(|(key, value)| serde_json::json!({ "key": key, "value": value }))
            .collect(),
        _ => Vec::new(),
    }
}

fn of_members(snapshot: &Value, key: &str) -> Vec<Value> {
    let members = snapshot
        .get("instances")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    members
        .flat_map(|member| {
            let parts = member
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            parts.map(|part| {
                let mut part = part.clone();
                add(&mut part, "instance_id", text(member, "id"));
                add(&mut part, "instance_name", text(member, "name"));
                part
            })
        })
        .collect()
}

fn add(object: &mut Value, key: &str, value: &str) {
    if let Some(members) = object.as_object_mut() {
        let members: &mut Map<_, _> = members;
        members.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_listed_with_their_member() {
        let snapshot = json!({"instances": [{"id": "i", "name": "web",
            "vdisks": [{"volume_id": "v"}],
            "nics": [{"mac_address": "m", "network": {"name": "n", "subnet": {"name": "s"}}}]}],
            "metadata": [{"key": "k", "value": "v"}]});
        assert_eq!(disks(&snapshot)[0]["instance_name"], "web");
        assert_eq!(networks(&snapshot)[0]["network_name"], "n");
        assert_eq!(networks(&snapshot)[0]["subnet_name"], "s");
        assert_eq!(metadata(&snapshot)[0]["key"], "k");
        assert_eq!(
            metadata(&json!({"metadata": {"a": 1}}))[0],
            json!({"key": "a", "value": 1})
        );
        assert!(disks(&json!({})).is_empty());
    }
}
