use std::sync::Arc;

use serde_json::{Value, json};
use services_keystone::{Method, Request, Service};
use services_openstack::CloudErrorKind as Kind;
use services_openstack::ports::{NewPort, Port};
use services_types::{
    AddressPair, FixedIp, FloatingIpRecord, NetworkId, SecurityGroupId, SecurityGroupRecord,
    SecurityGroupRule,
};

use crate::cleanup::Made;
use crate::site::{Check, unique};

async fn network_id(on: &Check) -> NetworkId {
    on.id_of(Service::Network, "networks", &on.site.network)
        .await
        .parse()
        .unwrap()
}

/// A port on the tenant's network, after `change`.
pub(crate) async fn port_made(on: &Check, change: impl FnOnce(&mut NewPort)) -> Port {
    let mut new = NewPort {
        project_id: on.project_id().await,
        name: unique("port"),
        description: String::new(),
        network_id: network_id(on).await,
        mac_address: None,
        fixed_ips: Vec::new(),
        security_group_ids: Vec::new(),
        is_port_security_enabled: true,
        allowed_address_pairs: Vec::new(),
        vnic_type: "normal".to_owned(),
    };
    change(&mut new);
    let port = on.cloud.network().port_create(&new).await.unwrap();
    on.cleanup.add(Made::Port(port.id.clone()));
    assert_eq!((&port.name, &port.network_id), (&new.name, &new.network_id));
    port
}

pub(crate) async fn a_port_keeps_what_it_was_made_with(on: Arc<Check>) {
    let network = on.cloud.network();
    // Neutron chooses an address and a MAC; both are asked for again once they are free.
    let chosen = port_made(&on, |_| {}).await;
    assert_eq!(chosen.fixed_ips.len(), 1);
    network.port_delete(&chosen.id).await.unwrap();
    assert_eq!(
        network.port_delete(&chosen.id).await.unwrap_err().kind(),
        Kind::NotFound
    );

    let flow = unique("flow");
    let pairs = vec![AddressPair {
        ip_address: "10.99.0.0/24".to_owned(),
        mac_address: None,
    }];
    let port = port_made(&on, |new| {
        new.description = flow.clone();
        new.mac_address = Some(chosen.mac_address.clone());
        new.fixed_ips = chosen.fixed_ips.clone();
        new.allowed_address_pairs = pairs.clone();
    })
    .await;
    assert_eq!(
        (&port.mac_address, &port.fixed_ips),
        (&chosen.mac_address, &chosen.fixed_ips)
    );
    assert_eq!(port.allowed_address_pairs.len(), 1);
    assert_eq!(
        port.allowed_address_pairs[0].ip_address,
        pairs[0].ip_address
    );
    assert!(
        port.is_port_security_enabled && port.vnic_type == "normal" && port.device_id.is_empty()
    );

    let found = network.ports_with_description(&flow).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&port));
    network
        .port_set_description(&port.id, "done")
        .await
        .unwrap();
    assert!(
        network
            .ports_with_description(&flow)
            .await
            .unwrap()
            .is_empty()
    );

    let open = port_made(&on, |new| new.is_port_security_enabled = false).await;
    assert!(!open.is_port_security_enabled && open.security_group_ids.is_empty());

    an_address_in_use_is_a_conflict(&on, &port).await;
}

async fn an_address_in_use_is_a_conflict(on: &Check, port: &Port) {
    let new = NewPort {
        project_id: on.project_id().await,
        name: unique("twin"),
        description: String::new(),
        network_id: port.network_id.clone(),
        mac_address: None,
        fixed_ips: port.fixed_ips.clone(),
        security_group_ids: Vec::new(),
        is_port_security_enabled: true,
        allowed_address_pairs: Vec::new(),
        vnic_type: "normal".to_owned(),
    };
    let refused = on.cloud.network().port_create(&new).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
}

fn rule(direction: &str, protocol: Option<&str>, ports: Option<(i32, i32)>) -> SecurityGroupRule {
    SecurityGroupRule {
        direction: direction.to_owned(),
        ethertype: "IPv4".to_owned(),
        protocol: protocol.map(str::to_owned),
        port_range_min: ports.map(|p| p.0),
        port_range_max: ports.map(|p| p.1),
        remote_ip_prefix: None,
        remote_group_id: None,
        description: "a rule".to_owned(),
    }
}

fn sorted(mut rules: Vec<SecurityGroupRule>) -> Vec<SecurityGroupRule> {
    rules.sort_by_key(|rule| format!("{rule:?}"));
    rules
}

pub(crate) async fn a_security_group_has_exactly_its_rules(on: Arc<Check>) {
    let network = on.cloud.network();
    let old_id: SecurityGroupId = uuid::Uuid::new_v4().to_string().parse().unwrap();
    let from_itself = SecurityGroupRule {
        remote_group_id: Some(old_id.clone()),
        ..rule("ingress", None, None)
    };
    let from_outside = SecurityGroupRule {
        remote_ip_prefix: Some("10.0.0.0/8".to_owned()),
        ..rule("ingress", Some("tcp"), Some((22, 23)))
    };
    let wanted = SecurityGroupRecord {
        id: old_id,
        name: unique("group"),
        description: "of old".to_owned(),
        is_stateful: true,
        rules: vec![from_itself.clone(), from_outside.clone()],
    };
    let id = network
        .security_group_create(&wanted, "of new")
        .await
        .unwrap();
    on.cleanup.add(Made::SecurityGroup(id.clone()));
    let made = network.security_group_fetch(&id).await.unwrap();
    assert_eq!(
        (made.name.as_str(), made.description.as_str()),
        (wanted.name.as_str(), "of new")
    );
    let from_new_self = SecurityGroupRule {
        remote_group_id: Some(id.clone()),
        ..from_itself
    };
    assert_eq!(
        sorted(made.rules.clone()),
        sorted(vec![from_new_self, from_outside])
    );

    let project = on.project_id().await;
    assert_eq!(
        network
            .security_groups_named(&wanted.name, &project)
            .await
            .unwrap(),
        [made]
    );
    assert_eq!(
        network
            .security_groups_named("default", &project)
            .await
            .unwrap()
            .len(),
        1
    );

    let port = port_made(&on, |new| new.security_group_ids = vec![id.clone()]).await;
    assert_eq!(port.security_group_ids, slice(&id));
    let refused = network.security_group_delete(&id).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");

    a_group_that_cannot_have_its_rules_is_not_left(&on, wanted).await;
}

fn slice(id: &SecurityGroupId) -> [SecurityGroupId; 1] {
    [id.clone()]
}

async fn a_group_that_cannot_have_its_rules_is_not_left(on: &Check, wanted: SecurityGroupRecord) {
    let network = on.cloud.network();
    let impossible = SecurityGroupRecord {
        name: unique("half"),
        rules: vec![rule("ingress", Some("tcp"), Some((9, 1)))],
        ..wanted
    };
    let refused = network
        .security_group_create(&impossible, "")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid, "{refused}");
    let project = on.project_id().await;
    assert!(
        network
            .security_groups_named(&impossible.name, &project)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn subnets_and_routers_are_found(on: Arc<Check>) {
    let network = on.cloud.network();
    let id = network_id(&on).await;
    let record = network.network_fetch(&id).await.unwrap();
    assert_eq!((&record.id, &record.name), (&id, &on.site.network));
    assert!(record.is_admin_state_up && !record.is_external && record.mtu.is_some());

    let subnets = network.subnets_of_network(&id).await.unwrap();
    assert_eq!(subnets.len(), 1);
    assert!(
        subnets[0].cidr.contains('/') && subnets[0].ip_version == 4 && subnets[0].is_dhcp_enabled
    );
    assert_eq!(
        (subnets[0].allocation_pools.len(), &subnets[0].network_id),
        (1, &id)
    );

    let external = on
        .id_of(Service::Network, "networks", &on.site.external_network)
        .await;
    let routers = network
        .routers_of_subnets(&[subnets[0].id.clone()])
        .await
        .unwrap();
    assert_eq!(routers.len(), 1);
    assert_eq!(routers[0].subnet_ids, [subnets[0].id.clone()]);
    assert_eq!(
        routers[0]
            .external_network_id
            .as_ref()
            .map(NetworkId::as_str),
        Some(external.as_str())
    );
    assert!(network.routers_of_subnets(&[]).await.unwrap().is_empty());

    let unknown = uuid::Uuid::new_v4().to_string().parse().unwrap();
    assert_eq!(
        network.network_fetch(&unknown).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

pub(crate) async fn a_floating_address_moves_only_when_free(on: Arc<Check>) {
    let external = on
        .id_of(Service::Network, "networks", &on.site.external_network)
        .await;
    let body = json!({ "floatingip": { "floating_network_id": external } });
    let made = on
        .raw(
            &on.tenant,
            Request::new(Method::POST, Service::Network, &["floatingips"]).body(body),
        )
        .await;
    let made = made["floatingip"].clone();
    let outcome = tokio::spawn(floating_address(Arc::clone(&on), made.clone())).await;
    let delete = Request::new(
        Method::DELETE,
        Service::Network,
        &["floatingips", made["id"].as_str().unwrap()],
    );
    on.raw(&on.tenant, delete).await;
    outcome.unwrap();
}

async fn floating_address(on: Arc<Check>, made: Value) {
    let network = on.cloud.network();
    let (first, second) = (port_made(&on, |_| {}).await, port_made(&on, |_| {}).await);
    let FixedIp { ip_address, .. } = first.fixed_ips[0].clone();
    let address = FloatingIpRecord {
        floating_ip_address: made["floating_ip_address"].as_str().unwrap().to_owned(),
        floating_network_id: made["floating_network_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
        fixed_ip_address: ip_address,
    };
    assert!(
        network
            .floating_ips_of_port(&first.id)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        network
            .floating_ip_associate(&address, &first.id)
            .await
            .unwrap()
    );
    assert!(
        network
            .floating_ip_associate(&address, &first.id)
            .await
            .unwrap()
    );
    assert_eq!(
        network.floating_ips_of_port(&first.id).await.unwrap(),
        std::slice::from_ref(&address)
    );
    assert!(
        !network
            .floating_ip_associate(&address, &second.id)
            .await
            .unwrap()
    );

    let unknown = FloatingIpRecord {
        floating_ip_address: "203.0.113.9".to_owned(),
        ..address
    };
    assert!(
        !network
            .floating_ip_associate(&unknown, &second.id)
            .await
            .unwrap()
    );
}
