//! Neutron: one private network with a router to an external one, ports, floating addresses.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::groups;
use super::item::{Item, Items};
use super::server::{Call, Outcome, Reply};
use super::state::{State, Who, new_id};

pub(super) fn refused(status: u16, fault_type: &str, message: impl Into<String>) -> Reply {
    let body = json!({ "type": fault_type, "message": message.into(), "detail": "" });
    Reply::new(status, json!({ "NeutronError": body }))
}

fn not_found(what: &str, id: &str) -> Reply {
    refused(
        404,
        &format!("{what}NotFound"),
        format!("{what} {id} could not be found."),
    )
}

/// Project demo has `private` (10.77.0.0/24) and a router to `external` (198.51.100.0/24).
pub(super) fn furnish(state: &mut State, service: &str, demo: &str) {
    let external = add_network(state, service, "external", true);
    add_subnet(state, service, &external, "198.51.100");
    let private = add_network(state, demo, "private", false);
    let subnet = add_subnet(state, demo, &private, "10.77.0");
    let router = new_id();
    let body = json!({
        "id": router, "name": "router", "admin_state_up": true, "project_id": demo,
        "external_gateway_info": { "network_id": external }, "routes": [],
    });
    state.routers.add(&router, Item::new(demo, body));
    let interface = new_id();
    let body = json!({
        "id": interface, "name": "", "description": "", "network_id": private, "project_id": demo,
        "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{ "subnet_id": subnet, "ip_address": "10.77.0.1" }],
        "security_groups": [], "port_security_enabled": false, "allowed_address_pairs": [],
        "binding:vnic_type": "normal", "device_id": router, "device_owner": "network:router_interface",
    });
    state.ports.add(&interface, Item::new(demo, body));
}

pub(super) fn add_network(
    state: &mut State,
    project_id: &str,
    name: &str,
    is_external: bool,
) -> String {
    let id = new_id();
    let body = json!({
        "id": id, "name": name, "description": "", "admin_state_up": true, "shared": is_external,
        "router:external": is_external, "mtu": 1450, "project_id": project_id,
    });
    state.networks.add(&id, Item::new(project_id, body));
    id
}

pub(super) fn add_subnet(
    state: &mut State,
    project_id: &str,
    network_id: &str,
    prefix: &str,
) -> String {
    let id = new_id();
    let body = json!({
        "id": id, "name": format!("{prefix}.0"), "network_id": network_id, "ip_version": 4,
        "cidr": format!("{prefix}.0/24"), "gateway_ip": format!("{prefix}.1"), "enable_dhcp": true,
        "dns_nameservers": [], "host_routes": [], "project_id": project_id,
        "allocation_pools": [{ "start": format!("{prefix}.2"), "end": format!("{prefix}.254") }],
    });
    state.subnets.add(&id, Item::new(project_id, body));
    id
}

pub(super) fn answer(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let (method, path) = call.route();
    match (method, path.as_slice()) {
        ("GET", ["networks"]) => Ok(state.page(
            call,
            "networks",
            matching(&state.networks, who, call, &["name"]),
        )),
        ("GET", ["networks", id]) => show(&state.networks, who, id, "network", "Network"),
        ("GET", ["subnets"]) => Ok(state.page(
            call,
            "subnets",
            matching(&state.subnets, who, call, &["network_id"]),
        )),
        ("GET", ["routers", id]) => show(&state.routers, who, id, "router", "Router"),
        ("GET", ["ports"]) => Ok(port_list(state, who, call)),
        ("POST", ["ports"]) => port_create(state, who, call),
        ("GET", ["ports", id]) => show(&state.ports, who, id, "port", "Port"),
        ("PUT", ["ports", id]) => port_update(state, who, call, id),
        ("DELETE", ["ports", id]) => port_delete(state, who, id),
        ("GET", ["security-groups"]) => groups::list(state, who, call),
        ("POST", ["security-groups"]) => groups::create(state, who, call),
        ("GET", ["security-groups", id]) => groups::show(state, who, id),
        ("DELETE", ["security-groups", id]) => groups::delete(state, who, id),
        ("POST", ["security-group-rules"]) => groups::rules_create(state, who, call),
        ("DELETE", ["security-group-rules", id]) => groups::rule_delete(state, who, id),
        ("GET", ["floatingips"]) => {
            let names = [
                "port_id",
                "floating_ip_address",
                "floating_network_id",
                "project_id",
            ];
            Ok(state.page(
                call,
                "floatingips",
                matching(&state.floating_ips, who, call, &names),
            ))
        }
        ("POST", ["floatingips"]) => floating_ip_create(state, who, call),
        ("PUT", ["floatingips", id]) => floating_ip_update(state, who, call, id),
        ("DELETE", ["floatingips", id]) => {
            show(&state.floating_ips, who, id, "floatingip", "FloatingIP")?;
            state.floating_ips.remove(id);
            Ok(Reply::done())
        }
        _ => Err(refused(
            404,
            "HTTPNotFound",
            "The resource could not be found.",
        )),
    }
}

/// An administrator sees everything, others their own and what is shared.
fn is_visible(item: &Item, who: &Who) -> bool {
    who.is_admin || item.project_id == who.project_id || item.body["shared"] == json!(true)
}

/// What is visible and is as the query says in these fields.
pub(super) fn matching(items: &Items, who: &Who, call: &Call, fields: &[&str]) -> Vec<Value> {
    let is_wanted = |item: &Item| {
        fields.iter().all(|field| {
            call.param(field)
                .is_none_or(|wanted| item.text(field) == wanted)
        })
    };
    let found = items
        .iter()
        .map(|(_, item)| item)
        .filter(|item| is_visible(item, who) && is_wanted(item));
    found.map(|item| item.body.clone()).collect()
}

fn show(items: &Items, who: &Who, id: &str, key: &str, what: &str) -> Outcome {
    let found = items
        .get(id)
        .filter(|item| is_visible(item, who))
        .ok_or_else(|| not_found(what, id))?;
    Ok(Reply::ok(json!({ key: found.body })))
}

fn port_list(state: &State, who: &Who, call: &Call) -> Reply {
    let mut all = matching(
        &state.ports,
        who,
        call,
        &["device_id", "description", "project_id"],
    );
    if let Some(subnet) = call
        .param("fixed_ips")
        .and_then(|filter| filter.strip_prefix("subnet_id="))
    {
        let is_on = |port: &Value| {
            let ips = port["fixed_ips"].as_array();
            ips.is_some_and(|ips| {
                ips.iter()
                    .any(|ip| ip["subnet_id"].as_str() == Some(subnet))
            })
        };
        all.retain(is_on);
    }
    state.page(call, "ports", all)
}

fn port_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let text = |field: &str| call.text(&format!("/port/{field}"));
    let project_id = text("project_id").unwrap_or(&who.project_id).to_owned();
    if project_id != who.project_id && !who.is_admin {
        return Err(refused(
            403,
            "PolicyNotAuthorized",
            "rule:create_port is disallowed by policy",
        ));
    }
    let network_id = text("network_id").unwrap_or_default().to_owned();
    show(&state.networks, who, &network_id, "network", "Network")?;
    if state.ports.ids_of(&project_id).len() >= state.quotas.ports {
        return Err(refused(
            409,
            "OverQuota",
            "Quota exceeded for resources: ['port'].",
        ));
    }
    let fixed_ips = addresses(state, &network_id, call)?;
    let mac_address = mac_address(state, &network_id, text("mac_address"))?;
    let is_secure = call.body.pointer("/port/port_security_enabled") != Some(&json!(false));
    let id = new_id();
    let body = json!({
        "id": id,
        "name": text("name").unwrap_or_default(),
        "description": text("description").unwrap_or_default(),
        "network_id": network_id,
        "project_id": project_id,
        "mac_address": mac_address,
        "fixed_ips": fixed_ips,
        "security_groups": security_groups(state, &project_id, call, is_secure)?,
        "port_security_enabled": is_secure,
        "allowed_address_pairs": call.body.pointer("/port/allowed_address_pairs").unwrap_or(&json!([])),
        "binding:vnic_type": text("binding:vnic_type").unwrap_or("normal"),
        "device_id": "",
        "device_owner": "",
    });
    state.ports.add(&id, Item::new(&project_id, body.clone()));
    Ok(Reply::new(201, json!({ "port": body })))
}

/// An explicit empty list means none; nothing said means the project's default group.
fn security_groups(
    state: &State,
    project_id: &str,
    call: &Call,
    is_secure: bool,
) -> Result<Value, Reply> {
    let Some(wanted) = call
        .body
        .pointer("/port/security_groups")
        .and_then(Value::as_array)
    else {
        let default = groups::default_of(state, project_id).filter(|_| is_secure);
        return Ok(json!(default.into_iter().collect::<Vec<_>>()));
    };
    let unknown = wanted
        .iter()
        .filter_map(Value::as_str)
        .find(|id| state.groups.get(id).is_none());
    match unknown {
        Some(id) => Err(refused(
            404,
            "SecurityGroupNotFound",
            format!("Security group {id} does not exist."),
        )),
        None if !is_secure && !wanted.is_empty() => Err(refused(
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled.",
        )),
        None => Ok(json!(wanted)),
    }
}

fn taken_addresses(state: &State, network_id: &str) -> BTreeSet<String> {
    let ports = state
        .ports
        .iter()
        .filter(|(_, port)| port.text("network_id") == network_id);
    let ips = ports
        .filter_map(|(_, port)| port.body["fixed_ips"].as_array())
        .flatten();
    ips.filter_map(|ip| ip["ip_address"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The addresses asked for, or the first free one of the network.
fn addresses(state: &State, network_id: &str, call: &Call) -> Result<Value, Reply> {
    let taken = taken_addresses(state, network_id);
    if let Some(wanted) = call
        .body
        .pointer("/port/fixed_ips")
        .filter(|v| v.is_array())
    {
        let ips = wanted
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|ip| ip["ip_address"].as_str());
        return match ips.into_iter().find(|ip| taken.contains(*ip)) {
            Some(ip) => Err(refused(
                409,
                "IpAddressAlreadyAllocated",
                format!("IP address {ip} already allocated."),
            )),
            None => Ok(wanted.clone()),
        };
    }
    let mut subnets = state
        .subnets
        .iter()
        .filter(|(_, subnet)| subnet.text("network_id") == network_id);
    let Some((subnet_id, subnet)) = subnets.next() else {
        return Ok(json!([]));
    };
    let prefix = subnet.text("cidr").trim_end_matches(".0/24").to_owned();
    let free = (2..255)
        .map(|host| format!("{prefix}.{host}"))
        .find(|ip| !taken.contains(ip));
    let ip_address = free.ok_or_else(|| {
        refused(
            409,
            "IpAddressGenerationFailure",
            "No more IP addresses available.",
        )
    })?;
    Ok(json!([{ "subnet_id": subnet_id, "ip_address": ip_address }]))
}

fn mac_address(state: &State, network_id: &str, wanted: Option<&str>) -> Result<String, Reply> {
    let is_taken = |mac: &str| {
        let on_network =
            |port: &Item| port.text("network_id") == network_id && port.text("mac_address") == mac;
        state.ports.iter().any(|(_, port)| on_network(port))
    };
    match wanted {
        Some(mac) if is_taken(mac) => Err(refused(
            409,
            "MacAddressInUse",
            format!("The mac address {mac} is in use."),
        )),
        Some(mac) => Ok(mac.to_owned()),
        None => {
            let [a, b, c, ..] = Uuid::new_v4().into_bytes();
            Ok(format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}"))
        }
    }
}

fn port_update(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    show(&state.ports, who, id, "port", "Port")?;
    if let (Some(item), Value::Object(changes)) = (state.ports.get_mut(id), call.object("/port")) {
        for (field, value) in changes {
            item.set(&field, value);
        }
    }
    show(&state.ports, who, id, "port", "Port")
}

fn port_delete(state: &mut State, who: &Who, id: &str) -> Outcome {
    show(&state.ports, who, id, "port", "Port")?;
    let owner = state
        .ports
        .get(id)
        .map(|item| item.text("device_owner").to_owned())
        .unwrap_or_default();
    if owner.starts_with("network:router_") {
        return Err(refused(
            409,
            "ServicePortInUse",
            format!("Port {id} cannot be deleted directly."),
        ));
    }
    forget_port(state, id);
    Ok(Reply::done())
}

/// The port is gone, and its floating addresses are free.
pub(super) fn forget_port(state: &mut State, id: &str) {
    state.ports.remove(id);
    let pointing = |item: &Item| item.text("port_id") == id;
    let ids: Vec<String> = state
        .floating_ips
        .iter()
        .filter(|(_, item)| pointing(item))
        .map(|(ip, _)| ip.clone())
        .collect();
    for ip in ids {
        if let Some(item) = state.floating_ips.get_mut(&ip) {
            item.set("port_id", Value::Null);
            item.set("fixed_ip_address", Value::Null);
        }
    }
}

fn floating_ip_create(state: &mut State, who: &Who, call: &Call) -> Outcome {
    let network_id = call
        .text("/floatingip/floating_network_id")
        .unwrap_or_default()
        .to_owned();
    show(&state.networks, who, &network_id, "network", "Network")?;
    let taken: BTreeSet<String> = state
        .floating_ips
        .iter()
        .map(|(_, item)| item.text("floating_ip_address").to_owned())
        .collect();
    let free = (100..200)
        .map(|host| format!("198.51.100.{host}"))
        .find(|ip| !taken.contains(ip));
    let id = new_id();
    let body = json!({
        "id": id, "project_id": who.project_id, "floating_network_id": network_id,
        "floating_ip_address": free, "port_id": null, "fixed_ip_address": null,
    });
    state
        .floating_ips
        .add(&id, Item::new(&who.project_id, body.clone()));
    Ok(Reply::new(201, json!({ "floatingip": body })))
}

fn floating_ip_update(state: &mut State, who: &Who, call: &Call, id: &str) -> Outcome {
    show(&state.floating_ips, who, id, "floatingip", "FloatingIP")?;
    let port_id = call.text("/floatingip/port_id").unwrap_or_default();
    let port = state
        .ports
        .get(port_id)
        .ok_or_else(|| not_found("Port", port_id))?;
    let first = port.body["fixed_ips"]
        .pointer("/0/ip_address")
        .and_then(Value::as_str);
    let fixed = call
        .text("/floatingip/fixed_ip_address")
        .or(first)
        .map(str::to_owned);
    if let Some(item) = state.floating_ips.get_mut(id) {
        item.set("port_id", port_id);
        item.set("fixed_ip_address", fixed);
    }
    show(&state.floating_ips, who, id, "floatingip", "FloatingIP")
}
