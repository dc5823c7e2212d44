//! Glance.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_types::ImageId;

use crate::CloudError;

/// An image as far as servers and volumes go by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Display name; empty for one without.
    pub name: String,
    /// What was set on it for guests, Nova and Cinder: `hw_qemu_guest_agent`, `os_type`, ...
    pub properties: BTreeMap<String, String>,
}

/// What Backstay asks of Glance.
#[async_trait]
pub trait Images: Send + Sync {
    /// One image.
    async fn image_fetch(&self, id: &ImageId) -> Result<Image, CloudError>;
}
