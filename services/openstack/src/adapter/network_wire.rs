//! What Neutron answers with. Fields of extensions that a cloud may lack have a default.

use serde::Deserialize;
use serde_json::{Value, json};
use services_types::{
    AddressPair, FixedIp, FloatingIpRecord, NetworkId, NetworkRecord, PortId, RouterId,
    RouterRecord, SecurityGroupId, SubnetId, SubnetRecord,
};

use crate::ports::{NewPort, Port};

const fn yes() -> bool {
    true
}

fn normal() -> String {
    "normal".to_owned()
}

#[derive(Deserialize)]
pub(super) struct PortBody {
    id: PortId,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    network_id: NetworkId,
    mac_address: String,
    #[serde(default)]
    pub(super) fixed_ips: Vec<FixedIp>,
    #[serde(default)]
    security_groups: Vec<SecurityGroupId>,
    #[serde(default = "yes")]
    port_security_enabled: bool,
    #[serde(default)]
    allowed_address_pairs: Vec<AddressPair>,
    #[serde(rename = "binding:vnic_type", default = "normal")]
    vnic_type: String,
    #[serde(default)]
    pub(super) device_id: String,
    #[serde(default)]
    pub(super) device_owner: String,
}

impl From<PortBody> for Port {
    fn from(body: PortBody) -> Self {
        Self {
            id: body.id,
            name: body.name,
            description: body.description,
            network_id: body.network_id,
            mac_address: body.mac_address,
            fixed_ips: body.fixed_ips,
            security_group_ids: body.security_groups,
            is_port_security_enabled: body.port_security_enabled,
            allowed_address_pairs: body.allowed_address_pairs,
            vnic_type: body.vnic_type,
            device_id: body.device_id,
        }
    }
}

/// Only what differs from Neutron's default: several fields are for the network's owner alone, and
/// naming them on somebody else's network is refused even when they say nothing new.
pub(super) fn new_port_body(new: &NewPort) -> Value {
    let mut port = json!({
        "project_id": new.project_id,
        "name": new.name,
        "description": new.description,
        "network_id": new.network_id,
        "security_groups": new.security_group_ids,
    });
    let pairs = || {
        new.allowed_address_pairs
            .iter()
            .map(address_pair_body)
            .collect::<Vec<_>>()
    };
    let optional = [
        ("mac_address", new.mac_address.as_ref().map(|v| json!(v))),
        (
            "fixed_ips",
            (!new.fixed_ips.is_empty()).then(|| json!(new.fixed_ips)),
        ),
        (
            "port_security_enabled",
            (!new.is_port_security_enabled).then_some(Value::Bool(false)),
        ),
        (
            "allowed_address_pairs",
            (!new.allowed_address_pairs.is_empty()).then(|| json!(pairs())),
        ),
        (
            "binding:vnic_type",
            (new.vnic_type != "normal").then(|| json!(new.vnic_type)),
        ),
    ];
    if let Some(fields) = port.as_object_mut() {
        fields.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
    }
    json!({ "port": port })
}

fn address_pair_body(pair: &AddressPair) -> Value {
    match &pair.mac_address {
        Some(mac) => json!({ "ip_address": pair.ip_address, "mac_address": mac }),
        None => json!({ "ip_address": pair.ip_address }),
    }
}

#[derive(Deserialize)]
pub(super) struct NetworkBody {
    id: NetworkId,
    name: String,
    #[serde(default)]
    description: String,
    admin_state_up: bool,
    #[serde(default)]
    shared: bool,
    #[serde(rename = "router:external", default)]
    external: bool,
    mtu: Option<u32>,
}

impl From<NetworkBody> for NetworkRecord {
    fn from(body: NetworkBody) -> Self {
        Self {
            id: body.id,
            name: body.name,
            description: body.description,
            is_admin_state_up: body.admin_state_up,
            is_shared: body.shared,
            is_external: body.external,
            mtu: body.mtu,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SubnetBody {
    id: SubnetId,
    name: String,
    network_id: NetworkId,
    cidr: String,
    ip_version: u8,
    gateway_ip: Option<String>,
    enable_dhcp: bool,
    #[serde(default)]
    dns_nameservers: Vec<String>,
    #[serde(default)]
    allocation_pools: Vec<Pool>,
    #[serde(default)]
    host_routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Pool {
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct Route {
    destination: String,
    nexthop: String,
}

impl From<SubnetBody> for SubnetRecord {
    fn from(body: SubnetBody) -> Self {
        Self {
            id: body.id,
            name: body.name,
            network_id: body.network_id,
            cidr: body.cidr,
            ip_version: body.ip_version,
            gateway_ip: body.gateway_ip,
            is_dhcp_enabled: body.enable_dhcp,
            dns_nameservers: body.dns_nameservers,
            allocation_pools: body
                .allocation_pools
                .into_iter()
                .map(|p| (p.start, p.end))
                .collect(),
            host_routes: body
                .host_routes
                .into_iter()
                .map(|r| (r.destination, r.nexthop))
                .collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RouterBody {
    id: RouterId,
    name: String,
    admin_state_up: bool,
    external_gateway_info: Option<Gateway>,
    #[serde(default)]
    routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Gateway {
    network_id: NetworkId,
}

impl RouterBody {
    pub(super) fn into_record(self, subnet_ids: Vec<SubnetId>) -> RouterRecord {
        RouterRecord {
            id: self.id,
            name: self.name,
            is_admin_state_up: self.admin_state_up,
            external_network_id: self.external_gateway_info.map(|gateway| gateway.network_id),
            subnet_ids,
            routes: self
                .routes
                .into_iter()
                .map(|r| (r.destination, r.nexthop))
                .collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct FloatingIpBody {
    pub(super) id: String,
    pub(super) port_id: Option<PortId>,
    floating_ip_address: String,
    floating_network_id: NetworkId,
    fixed_ip_address: Option<String>,
}

impl From<FloatingIpBody> for FloatingIpRecord {
    fn from(body: FloatingIpBody) -> Self {
        Self {
            floating_ip_address: body.floating_ip_address,
            floating_network_id: body.floating_network_id,
            fixed_ip_address: body.fixed_ip_address.unwrap_or_default(),
        }
    }
}
