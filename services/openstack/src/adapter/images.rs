//! Glance.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value};
use services_keystone::{Method, Service};
use services_types::ImageId;

use super::RestCloud;
use super::client::{request, unexpected};
use crate::ports::Image;
use crate::{CloudError, Images};

/// What Glance itself says of every image; all other fields with a text are properties.
const NO_PROPERTIES: [&str; 25] = [
    "checksum",
    "container_format",
    "created_at",
    "direct_url",
    "disk_format",
    "file",
    "id",
    "locations",
    "min_disk",
    "min_ram",
    "name",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "owner",
    "protected",
    "schema",
    "self",
    "size",
    "status",
    "stores",
    "tags",
    "updated_at",
    "virtual_size",
    "visibility",
];

/// Bookkeeping of Glance's and of clients', which nobody may set or which says nothing of the guest.
const NO_PROPERTY_BEGINS: [&str; 2] = ["os_glance_", "owner_specified."];

#[async_trait]
impl Images for RestCloud {
    async fn image_fetch(&self, id: &ImageId) -> Result<Image, CloudError> {
        let operation = format!("look up image {id}");
        let request = request(Method::GET, Service::Image, &["images", id.as_str()]);
        let answer = self.client.send(request, &operation).await?;
        let fields: Map<String, Value> = answer.json().map_err(|e| unexpected(&operation, e))?;
        Ok(image(fields))
    }
}

fn image(fields: Map<String, Value>) -> Image {
    let name = fields.get("name").and_then(Value::as_str);
    let is_property = |key: &str| {
        !NO_PROPERTIES.contains(&key)
            && !NO_PROPERTY_BEGINS
                .iter()
                .any(|begin| key.starts_with(begin))
    };
    Image {
        // Glance lets images have none.
        name: name.unwrap_or_default().to_owned(),
        properties: fields
            .iter()
            .filter(|(key, _)| is_property(key))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect::<BTreeMap<_, _>>(),
    }
}
