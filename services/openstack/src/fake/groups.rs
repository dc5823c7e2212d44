//! Neutron's security groups.

use serde_json::{Value, json};

use super::item::Item;
use super::neutron::{matching, refused};
use super::server::{Call, Outcome, Reply};
use super::state::{State, Who, new_id};

/// The group that every project has.
pub(super) fn add_default(state: &mut State, project_id: &str) {
    let id = new_id();
    let mut rules = egress_rules(&id);
    for ethertype in ["IPv4", "IPv6"] {
        rules.push(rule_body(
            &id,
            &json!({ "direction": "ingress", "ethertype": ethertype, "remote_group_id": id }),
        ));
    }
    let body = group_body(
        &id,
        project_id,
        "default",
        "Default security group",
        true,
        rules,
    );
    state.groups.add(&id, Item::new(project_id, body));
}

pub(super) fn default_of(state: &State, project_id: &str) -> Option<String> {
    let is_default = |item: &Item| item.project_id == project_id && item.text("name") == "default";
    state
        .groups
        .iter()
        .find(|(_, item)| is_default(item))
        .map(|(id, _)| id.clone())
}

fn group_body(
    id: &str,
    project_id: &str,
    name: &str,
    description: &str,
    stateful: bool,
    rules: Vec<Value>,
) -> Value {
    json!({
        "id": id, "project_id": project_id, "name": name, "description": description,
        "stateful": stateful, "security_group_rules": rules,
    })
}

/// Neutron lets everything out of a new group.
fn egress_rules(group_id: &str) -> Vec<Value> {
    let rule = |ethertype| {
        rule_body(
            group_id,
            &json!({ "direction": "egress", "ethertype": ethertype }),
        )
    };
    ["IPv4", "IPv6"].into_iter().map(rule).collect()
}

fn rule_body(group_id: &str, wanted: &Value) -> Value {
    json!({
        "id": new_id(),
        "security_group_id": group_id,
        "direction": wanted["direction"],
        "ethertype": wanted["ethertype"],
        "protocol": wanted["protocol"],
        "port_range_min": wanted["port_range_min"],
        "port_range_max": wanted["port_range_max"],
        "remote_ip_prefix": wanted["remote_ip_prefix"],
        "remote_group_id": wanted["remote_group_id"],
        "description": wanted["description"],
    })
}

fn group<'a>(state: &'a mut State, who: &Who, id: &str) -> Result<&'a mut Item, Reply> {
    let found = state.groups.get_mut(id);
    found
        .filter(|item| who.is_admin || item.project_id == who.project_id)
        .ok_or_else(|| {
            refused(
                404,
                "SecurityGroupNotFound",
                format!("Security group {id} does not exist."),
            )
        })
}

pub(super) fn list(state: &State, who: &Who, call: &Call) -> Outcome {
    let all = matching(&state.groups, who, call, &["name", "project_id"]);
    Ok(state.page(call, "security_groups", all))
}

pub(super) fn show(state: &mut State, who: &Who, id: &str) -> Outcome {
    Ok(Reply::ok(
        json!({ "security_group": group(state, who, id)?.body }),
    ))
}

pub(super) fn create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let id = new_id();
    let text = |field: &str| {
        call.text(&format!("/security_group/{field}"))
            .unwrap_or_default()
    };
    let stateful = call.body.pointer("/security_group/stateful") != Some(&json!(false));
    let body = group_body(
        &id,
        &who.project_id,
        text("name"),
        text("description"),
        stateful,
        egress_rules(&id),
    );
    state
        .groups
        .add(&id, Item::new(&who.project_id, body.clone()));
    Ok(Reply::new(201, json!({ "security_group": body })))
}

pub(super) fn delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    let is_default = group(state, who, id)?.text("name") == "default";
    let uses_it = |port: &Item| {
        port.body["security_groups"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(id)))
    };
    if is_default || state.ports.iter().any(|(_, port)| uses_it(port)) {
        return Err(refused(
            409,
            "SecurityGroupInUse",
            format!("Security Group {id} in use."),
        ));
    }
    state.groups.remove(id);
    Ok(Reply::done())
}

/// All or none, as Neutron does it.
pub(super) fn rules_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let wanted = call.body["security_group_rules"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for rule in &wanted {
        group(
            state,
            who,
            rule["security_group_id"].as_str().unwrap_or_default(),
        )?;
        let port = |field: &str| rule[field].as_i64();
        if let (Some(min), Some(max)) = (port("port_range_min"), port("port_range_max"))
            && min > max
            && rule["protocol"] != json!("icmp")
        {
            let message = "For TCP/UDP protocols, port_range_min must be <= port_range_max";
            return Err(refused(400, "SecurityGroupInvalidPortRange", message));
        }
    }
    let mut made = Vec::new();
    for rule in &wanted {
        let group_id = rule["security_group_id"].as_str().unwrap_or_default();
        let body = rule_body(group_id, rule);
        if let Some(rules) =
            group(state, who, group_id)?.body["security_group_rules"].as_array_mut()
        {
            rules.push(body.clone());
        }
        made.push(body);
    }
    Ok(Reply::new(201, json!({ "security_group_rules": made })))
}

pub(super) fn rule_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    let mut ids = state.groups.ids_of(&who.project_id);
    ids.retain(|group_id| {
        let rules = state
            .groups
            .get(group_id)
            .map(|item| &item.body["security_group_rules"]);
        rules
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|rule| rule["id"] == json!(id)))
    });
    let group_id = ids
        .pop()
        .ok_or_else(|| refused(404, "SecurityGroupRuleNotFound", "no such rule"))?;
    if let Some(rules) = group(state, who, &group_id)?.body["security_group_rules"].as_array_mut() {
        rules.retain(|rule| rule["id"] != json!(id));
    }
    Ok(Reply::done())
}
