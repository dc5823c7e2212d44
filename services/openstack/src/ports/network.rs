//! Neutron.

use async_trait::async_trait;
use services_types::{
    AddressPair, FixedIp, FloatingIpRecord, NetworkId, NetworkRecord, PortId, ProjectId,
    RouterRecord, SecurityGroupId, SecurityGroupRecord, ServerId, SubnetId, SubnetRecord,
};

use crate::CloudError;

/// A port as Neutron shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its id.
    pub id: PortId,
    /// Display name.
    pub name: String,
    /// Free text; carries the flow's mark while a restore works.
    pub description: String,
    /// Which network it is on.
    pub network_id: NetworkId,
    /// `fa:16:3e:..`
    pub mac_address: String,
    /// In Neutron's order.
    pub fixed_ips: Vec<FixedIp>,
    /// In Neutron's order.
    pub security_group_ids: Vec<SecurityGroupId>,
    /// Anti-spoofing and security groups on or off.
    pub is_port_security_enabled: bool,
    /// Further addresses it may use.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// `normal`, `direct`, ...
    pub vnic_type: String,
    /// Server it belongs to; empty for none.
    pub device_id: String,
}

/// A port to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPort {
    /// Owner; differs from the identity's project only for the service user.
    pub project_id: ProjectId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Which network.
    pub network_id: NetworkId,
    /// `None`: Neutron chooses.
    pub mac_address: Option<String>,
    /// Empty: Neutron chooses.
    pub fixed_ips: Vec<FixedIp>,
    /// Must be empty where port security is off.
    pub security_group_ids: Vec<SecurityGroupId>,
    /// Anti-spoofing and security groups on or off.
    pub is_port_security_enabled: bool,
    /// Further addresses it may use.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// `normal`, `direct`, ...
    pub vnic_type: String,
}

/// What Backstay asks of Neutron.
#[async_trait]
pub trait Network: Send + Sync {
    /// Ports of a server, in Neutron's order.
    async fn ports_of_server(&self, id: &ServerId) -> Result<Vec<Port>, CloudError>;
    /// Ports of the identity's project with exactly this description.
    async fn ports_with_description(&self, description: &str) -> Result<Vec<Port>, CloudError>;
    /// Makes a port.
    async fn port_create(&self, new: &NewPort) -> Result<Port, CloudError>;
    /// Replaces a port's description.
    async fn port_set_description(&self, id: &PortId, description: &str) -> Result<(), CloudError>;
    /// Deletes a port.
    async fn port_delete(&self, id: &PortId) -> Result<(), CloudError>;
    /// One network.
    async fn network_fetch(&self, id: &NetworkId) -> Result<NetworkRecord, CloudError>;
    /// All subnets of a network.
    async fn subnets_of_network(&self, id: &NetworkId) -> Result<Vec<SubnetRecord>, CloudError>;
    /// Routers with an interface on one of these subnets.
    async fn routers_of_subnets(&self, ids: &[SubnetId]) -> Result<Vec<RouterRecord>, CloudError>;
    /// One security group with its rules.
    async fn security_group_fetch(
        &self,
        id: &SecurityGroupId,
    ) -> Result<SecurityGroupRecord, CloudError>;
    /// Groups of `project_id` with this name.
    async fn security_groups_named(
        &self,
        name: &str,
        project_id: &ProjectId,
    ) -> Result<Vec<SecurityGroupRecord>, CloudError>;
    /// Makes a group with exactly these rules: the two that Neutron adds by itself are taken away
    /// first. Rules that name the group itself (`remote_group_id` = `group.id`) name the new one.
    /// Half-made groups are deleted again.
    async fn security_group_create(
        &self,
        group: &SecurityGroupRecord,
        description: &str,
    ) -> Result<SecurityGroupId, CloudError>;
    /// Deletes a group.
    async fn security_group_delete(&self, id: &SecurityGroupId) -> Result<(), CloudError>;
    /// Floating addresses of a port.
    async fn floating_ips_of_port(&self, id: &PortId) -> Result<Vec<FloatingIpRecord>, CloudError>;
    /// Points a floating address of the identity's project at a port, if it exists and is free;
    /// answers whether it did.
    async fn floating_ip_associate(
        &self,
        address: &FloatingIpRecord,
        port_id: &PortId,
    ) -> Result<bool, CloudError>;
}
