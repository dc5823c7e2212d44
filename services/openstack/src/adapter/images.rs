//! Glance.

use async_trait::async_trait;
use serde::Deserialize;
use services_keystone::{Method, Service};
use services_types::ImageId;

use super::RestCloud;
use super::client::{request, unexpected};
use crate::{CloudError, Images};

#[derive(Deserialize)]
struct ImageBody {
    // Glance lets images have none.
    name: Option<String>,
}

#[async_trait]
impl Images for RestCloud {
    async fn image_name(&self, id: &ImageId) -> Result<String, CloudError> {
        let operation = format!("look up image {id}");
        let request = request(Method::GET, Service::Image, &["images", id.as_str()]);
        let answer = self.client.send(request, &operation).await?;
        let image: ImageBody = answer.json().map_err(|e| unexpected(&operation, e))?;
        Ok(image.name.unwrap_or_default())
    }
}
