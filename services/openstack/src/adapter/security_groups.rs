//! Neutron's security groups.

use serde::Deserialize;
use serde_json::{Value, json};
use services_keystone::Method;
use services_types::{ProjectId, SecurityGroupId, SecurityGroupRecord, SecurityGroupRule};

use super::RestCloud;
use super::client::taken_back;
use super::network::request;
use crate::{CloudError, gone_is_fine};

#[derive(Deserialize)]
struct GroupBody {
    id: SecurityGroupId,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "stateful")]
    stateful: bool,
    security_group_rules: Vec<RuleBody>,
}

const fn stateful() -> bool {
    true
}

#[derive(Deserialize)]
struct RuleBody {
    id: String,
    direction: String,
    ethertype: String,
    protocol: Option<String>,
    port_range_min: Option<i32>,
    port_range_max: Option<i32>,
    remote_ip_prefix: Option<String>,
    remote_group_id: Option<SecurityGroupId>,
    description: Option<String>,
}

impl From<GroupBody> for SecurityGroupRecord {
    fn from(body: GroupBody) -> Self {
        Self {
            id: body.id,
            name: body.name,
            description: body.description,
            is_stateful: body.stateful,
            rules: body
                .security_group_rules
                .into_iter()
                .map(Into::into)
                .collect(),
        }
    }
}

impl From<RuleBody> for SecurityGroupRule {
    fn from(body: RuleBody) -> Self {
        Self {
            direction: body.direction,
            ethertype: body.ethertype,
            protocol: body.protocol,
            port_range_min: body.port_range_min,
            port_range_max: body.port_range_max,
            remote_ip_prefix: body.remote_ip_prefix,
            remote_group_id: body.remote_group_id,
            description: body.description.unwrap_or_default(),
        }
    }
}

fn new_rule_body(
    rule: &SecurityGroupRule,
    old_id: &SecurityGroupId,
    new_id: &SecurityGroupId,
) -> Value {
    let remote_group_id = rule
        .remote_group_id
        .as_ref()
        .map(|id| if id == old_id { new_id } else { id });
    json!({
        "security_group_id": new_id,
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.port_range_min,
        "port_range_max": rule.port_range_max,
        "remote_ip_prefix": rule.remote_ip_prefix,
        "remote_group_id": remote_group_id,
        "description": rule.description,
    })
}

impl RestCloud {
    pub(super) async fn group_fetch(
        &self,
        id: &SecurityGroupId,
    ) -> Result<SecurityGroupRecord, CloudError> {
        let operation = format!("look up security group {id}");
        let request = request(Method::GET, &["security-groups", id.as_str()]);
        let body: GroupBody = self
            .client
            .fetch(request, "security_group", &operation)
            .await?;
        Ok(body.into())
    }

    pub(super) async fn groups_named(
        &self,
        name: &str,
        project_id: &ProjectId,
    ) -> Result<Vec<SecurityGroupRecord>, CloudError> {
        let operation = format!("list security groups named {name}");
        let request = request(Method::GET, &["security-groups"])
            .query("name", name)
            .query("project_id", project_id.as_str());
        let all: Vec<GroupBody> = self
            .client
            .list(request, "security_groups", &operation)
            .await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    pub(super) async fn group_create(
        &self,
        group: &SecurityGroupRecord,
        description: &str,
    ) -> Result<SecurityGroupId, CloudError> {
        let operation = format!("make security group {}", group.name);
        let mut body = json!({ "name": group.name, "description": description });
        // Clouds without the extension refuse the word, and have stateful groups only.
        if let (false, Some(fields)) = (group.is_stateful, body.as_object_mut()) {
            fields.insert("stateful".to_owned(), json!(false));
        }
        let request =
            request(Method::POST, &["security-groups"]).body(json!({ "security_group": body }));
        let made: GroupBody = self
            .client
            .fetch(request, "security_group", &operation)
            .await?;
        match self.replace_rules(&made, group).await {
            Ok(()) => Ok(made.id),
            Err(error) => Err(taken_back(error, self.group_delete(&made.id).await)),
        }
    }

    pub(super) async fn group_delete(&self, id: &SecurityGroupId) -> Result<(), CloudError> {
        let operation = format!("delete security group {id}");
        let request = request(Method::DELETE, &["security-groups", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn replace_rules(
        &self,
        made: &GroupBody,
        wanted: &SecurityGroupRecord,
    ) -> Result<(), CloudError> {
        for rule in &made.security_group_rules {
            let operation = format!("delete rule {} of security group {}", rule.id, made.id);
            let request = request(Method::DELETE, &["security-group-rules", &rule.id]);
            gone_is_fine(self.client.send(request, &operation).await.map(drop))?;
        }
        if wanted.rules.is_empty() {
            return Ok(());
        }
        let rules: Vec<_> = wanted
            .rules
            .iter()
            .map(|rule| new_rule_body(rule, &wanted.id, &made.id))
            .collect();
        let operation = format!("make rules of security group {}", made.id);
        let request = request(Method::POST, &["security-group-rules"])
            .body(json!({ "security_group_rules": rules }));
        self.client.send(request, &operation).await.map(drop)
    }
}
