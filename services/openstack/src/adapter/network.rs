//! Neutron, but for security groups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;
use services_keystone::{Method, Request, Service};
use services_types::{
    FloatingIpRecord, NetworkId, NetworkRecord, PortId, ProjectId, RouterId, RouterRecord,
    SecurityGroupId, SecurityGroupRecord, ServerId, SubnetId, SubnetRecord,
};

use super::RestCloud;
use super::client;
use super::network_wire::{
    FloatingIpBody, NetworkBody, PortBody, RouterBody, SubnetBody, new_port_body,
};
use crate::ports::{NewPort, Port};
use crate::{CloudError, Network};

pub(super) fn request(method: Method, segments: &[&str]) -> Request {
    client::request(method, Service::Network, segments)
}

#[async_trait]
impl Network for RestCloud {
    async fn ports_of_server(&self, id: &ServerId) -> Result<Vec<Port>, CloudError> {
        let operation = format!("list ports of server {id}");
        let request = request(Method::GET, &["ports"]).query("device_id", id.as_str());
        let all: Vec<PortBody> = self.client.list(request, "ports", &operation).await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    async fn ports_with_description(&self, description: &str) -> Result<Vec<Port>, CloudError> {
        let operation = format!("list ports described as {description}");
        // An administrator would be shown those of all projects.
        let request = request(Method::GET, &["ports"])
            .query("description", description)
            .query("project_id", self.client.project_id().await?);
        let all: Vec<PortBody> = self.client.list(request, "ports", &operation).await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    async fn port_create(&self, new: &NewPort) -> Result<Port, CloudError> {
        let operation = format!("make a port on network {}", new.network_id);
        let request = request(Method::POST, &["ports"]).body(new_port_body(new));
        let body: PortBody = self.client.fetch(request, "port", &operation).await?;
        Ok(body.into())
    }

    async fn port_set_description(&self, id: &PortId, description: &str) -> Result<(), CloudError> {
        let operation = format!("describe port {id}");
        let request = request(Method::PUT, &["ports", id.as_str()])
            .body(json!({ "port": { "description": description } }));
        self.client.send(request, &operation).await.map(drop)
    }

    async fn port_delete(&self, id: &PortId) -> Result<(), CloudError> {
        let operation = format!("delete port {id}");
        let request = request(Method::DELETE, &["ports", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn network_fetch(&self, id: &NetworkId) -> Result<NetworkRecord, CloudError> {
        let operation = format!("look up network {id}");
        let request = request(Method::GET, &["networks", id.as_str()]);
        let body: NetworkBody = self.client.fetch(request, "network", &operation).await?;
        Ok(body.into())
    }

    async fn subnets_of_network(&self, id: &NetworkId) -> Result<Vec<SubnetRecord>, CloudError> {
        let operation = format!("list subnets of network {id}");
        let request = request(Method::GET, &["subnets"]).query("network_id", id.as_str());
        let all: Vec<SubnetBody> = self.client.list(request, "subnets", &operation).await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    async fn routers_of_subnets(&self, ids: &[SubnetId]) -> Result<Vec<RouterRecord>, CloudError> {
        let mut routers = Vec::new();
        for (id, subnet_ids) in self.router_ids_of_subnets(ids).await? {
            let operation = format!("look up router {id}");
            let request = request(Method::GET, &["routers", id.as_str()]);
            match self
                .client
                .fetch::<RouterBody>(request, "router", &operation)
                .await
            {
                Ok(body) => routers.push(body.into_record(subnet_ids)),
                // Deleted meanwhile, or another project's on a shared network.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(routers)
    }

    async fn security_group_fetch(
        &self,
        id: &SecurityGroupId,
    ) -> Result<SecurityGroupRecord, CloudError> {
        self.group_fetch(id).await
    }

    async fn security_groups_named(
        &self,
        name: &str,
        project_id: &ProjectId,
    ) -> Result<Vec<SecurityGroupRecord>, CloudError> {
        self.groups_named(name, project_id).await
    }

    async fn security_group_create(
        &self,
        group: &SecurityGroupRecord,
        description: &str,
    ) -> Result<SecurityGroupId, CloudError> {
        self.group_create(group, description).await
    }

    async fn security_group_delete(&self, id: &SecurityGroupId) -> Result<(), CloudError> {
        self.group_delete(id).await
    }

    async fn floating_ips_of_port(&self, id: &PortId) -> Result<Vec<FloatingIpRecord>, CloudError> {
        let operation = format!("list floating addresses of port {id}");
        let request = request(Method::GET, &["floatingips"]).query("port_id", id.as_str());
        let all: Vec<FloatingIpBody> = self.client.list(request, "floatingips", &operation).await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    async fn floating_ip_associate(
        &self,
        address: &FloatingIpRecord,
        port_id: &PortId,
    ) -> Result<bool, CloudError> {
        let Some(found) = self.floating_ip_of_project(address).await? else {
            return Ok(false);
        };
        match found.port_id {
            Some(holder) => Ok(holder == *port_id),
            None => self
                .point_floating_ip(&found.id, address, port_id)
                .await
                .map(|()| true),
        }
    }
}

impl RestCloud {
    /// Routers by the interfaces that they have on these subnets.
    async fn router_ids_of_subnets(
        &self,
        ids: &[SubnetId],
    ) -> Result<BTreeMap<RouterId, Vec<SubnetId>>, CloudError> {
        let mut routers = BTreeMap::<RouterId, Vec<SubnetId>>::new();
        for subnet_id in ids {
            let operation = format!("list ports of subnet {subnet_id}");
            let request = request(Method::GET, &["ports"])
                .query("fixed_ips", format!("subnet_id={subnet_id}"));
            let ports: Vec<PortBody> = self.client.list(request, "ports", &operation).await?;
            for port in ports
                .iter()
                .filter(|port| is_router_interface(&port.device_owner))
            {
                if let Ok(id) = port.device_id.parse() {
                    let subnets = routers.entry(id).or_default();
                    if !subnets.contains(subnet_id) {
                        subnets.push(subnet_id.clone());
                    }
                }
            }
        }
        Ok(routers)
    }

    async fn floating_ip_of_project(
        &self,
        address: &FloatingIpRecord,
    ) -> Result<Option<FloatingIpBody>, CloudError> {
        let operation = format!("look up floating address {}", address.floating_ip_address);
        let request = request(Method::GET, &["floatingips"])
            .query("floating_ip_address", &address.floating_ip_address)
            .query("floating_network_id", address.floating_network_id.as_str())
            .query("project_id", self.client.project_id().await?);
        let found: Vec<FloatingIpBody> =
            self.client.list(request, "floatingips", &operation).await?;
        Ok(found.into_iter().next())
    }

    async fn point_floating_ip(
        &self,
        id: &str,
        address: &FloatingIpRecord,
        port_id: &PortId,
    ) -> Result<(), CloudError> {
        let operation = format!(
            "point floating address {} at port {port_id}",
            address.floating_ip_address
        );
        let look = request(Method::GET, &["ports", port_id.as_str()]);
        let port: PortBody = self.client.fetch(look, "port", &operation).await?;
        // A port with several addresses must be told which; one that the port lacks is refused.
        let has_it = port
            .fixed_ips
            .iter()
            .any(|ip| ip.ip_address == address.fixed_ip_address);
        let mut change = json!({ "port_id": port_id });
        if let (true, Some(fields)) = (has_it, change.as_object_mut()) {
            fields.insert(
                "fixed_ip_address".to_owned(),
                json!(address.fixed_ip_address),
            );
        }
        let request =
            request(Method::PUT, &["floatingips", id]).body(json!({ "floatingip": change }));
        self.client.send(request, &operation).await.map(drop)
    }
}

fn is_router_interface(device_owner: &str) -> bool {
    device_owner.starts_with("network:router_interface")
        || device_owner == "network:ha_router_replicated_interface"
}
