//! Nova.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use services_keystone::{Method, Request, Service};
use services_types::{FlavorId, FlavorRecord, ProjectId, ServerId};

use super::RestCloud;
use super::client::{self, taken_back};
use super::compute_wire::{
    FlavorBody, ServerBody, VolumeAttachmentBody, new_flavor_body, new_server_body,
};
use crate::ports::{NewServer, Server, VolumeAttachment};
use crate::{CloudError, Compute};

fn request(method: Method, segments: &[&str]) -> Request {
    client::request(method, Service::Compute, segments)
}

#[derive(Deserialize)]
struct Created<Id> {
    id: Id,
}

#[async_trait]
impl Compute for RestCloud {
    async fn server_fetch(&self, id: &ServerId) -> Result<Server, CloudError> {
        let operation = format!("look up server {id}");
        let request = request(Method::GET, &["servers", id.as_str()]);
        let body: ServerBody = self.client.fetch(request, "server", &operation).await?;
        Ok(body.into())
    }

    async fn servers_with_metadata(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<Server>, CloudError> {
        // Nova cannot search by metadata.
        let request = request(Method::GET, &["servers", "detail"]);
        let all: Vec<ServerBody> = self.client.list(request, "servers", "list servers").await?;
        let mut servers: Vec<Server> = all.into_iter().map(Server::from).collect();
        servers.retain(|server| server.metadata.get(key).is_some_and(|v| v == value));
        Ok(servers)
    }

    async fn volume_attachments(&self, id: &ServerId) -> Result<Vec<VolumeAttachment>, CloudError> {
        let operation = format!("list volumes of server {id}");
        let request = request(
            Method::GET,
            &["servers", id.as_str(), "os-volume_attachments"],
        );
        let all: Vec<VolumeAttachmentBody> = self
            .client
            .list(request, "volumeAttachments", &operation)
            .await?;
        let mut attachments: Vec<VolumeAttachment> = all.into_iter().map(Into::into).collect();
        attachments.sort_by(|a, b| a.device.cmp(&b.device));
        Ok(attachments)
    }

    async fn server_create(&self, new: &NewServer) -> Result<ServerId, CloudError> {
        let operation = format!("make server {}", new.name);
        let request = request(Method::POST, &["servers"]).body(new_server_body(new));
        let created: Created<ServerId> = self.client.fetch(request, "server", &operation).await?;
        Ok(created.id)
    }

    async fn server_delete(&self, id: &ServerId) -> Result<(), CloudError> {
        let operation = format!("delete server {id}");
        let request = request(Method::DELETE, &["servers", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn server_metadata_set(
        &self,
        id: &ServerId,
        pairs: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let operation = format!("set metadata of server {id}");
        let request = request(Method::POST, &["servers", id.as_str(), "metadata"])
            .body(json!({ "metadata": pairs }))
            .repeatable();
        self.client.send(request, &operation).await.map(drop)
    }

    async fn server_metadata_remove(&self, id: &ServerId, key: &str) -> Result<(), CloudError> {
        let operation = format!("remove metadata {key} of server {id}");
        let request = request(Method::DELETE, &["servers", id.as_str(), "metadata", key]);
        match self.client.send(request, &operation).await {
            // Either the key or the server is not there.
            Err(error) if error.is_not_found() => self.server_fetch(id).await.map(drop),
            other => other.map(drop),
        }
    }

    async fn flavors(&self) -> Result<Vec<FlavorRecord>, CloudError> {
        let request = request(Method::GET, &["flavors", "detail"]);
        let all: Vec<FlavorBody> = self.client.list(request, "flavors", "list flavors").await?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    async fn flavor_create(
        &self,
        flavor: &FlavorRecord,
        project_id: &ProjectId,
    ) -> Result<FlavorId, CloudError> {
        let operation = format!("make flavor {}", flavor.name);
        let request = request(Method::POST, &["flavors"]).body(new_flavor_body(flavor));
        let created: Created<FlavorId> = self.client.fetch(request, "flavor", &operation).await?;
        match self.open_flavor(&created.id, flavor, project_id).await {
            Ok(()) => Ok(created.id),
            Err(error) => Err(taken_back(error, self.flavor_delete(&created.id).await)),
        }
    }

    async fn flavor_delete(&self, id: &FlavorId) -> Result<(), CloudError> {
        let operation = format!("delete flavor {id}");
        let request = request(Method::DELETE, &["flavors", id.as_str()]);
        self.client.send(request, &operation).await.map(drop)
    }

    async fn has_key_pair(&self, name: &str) -> Result<bool, CloudError> {
        let operation = format!("look up key pair {name}");
        let request = request(Method::GET, &["os-keypairs", name]);
        let found = self
            .client
            .fetch::<Value>(request, "keypair", &operation)
            .await;
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl RestCloud {
    /// Gives a new private flavor its extra specs and its one project.
    async fn open_flavor(
        &self,
        id: &FlavorId,
        flavor: &FlavorRecord,
        project_id: &ProjectId,
    ) -> Result<(), CloudError> {
        if !flavor.extra_specs.is_empty() {
            let operation = format!("set extra specs of flavor {id}");
            let request = request(Method::POST, &["flavors", id.as_str(), "os-extra_specs"])
                .body(json!({ "extra_specs": flavor.extra_specs }))
                .repeatable();
            self.client.send(request, &operation).await?;
        }
        let operation = format!("open flavor {id} to project {project_id}");
        let request = request(Method::POST, &["flavors", id.as_str(), "action"])
            .body(json!({ "addTenantAccess": { "tenant": project_id } }));
        self.client.send(request, &operation).await.map(drop)
    }
}
