//! One trait a service, in our own terms. Every method is one call or one paged list; waiting for a
//! state is the caller's. Implementations: `adapter` (a real cloud); the fake cloud is reached
//! through the same adapter, over HTTP. Both pass `conformance`.

mod block_storage;
mod compute;
mod network;

pub use block_storage::{
    Attachment, BlockStorage, NewVolume, NewVolumeSnapshot, Volume, VolumeSnapshot,
};
pub use compute::{Compute, NewServer, NewServerDisk, Server, VolumeAttachment};
pub use network::{Network, NewPort, Port};

/// Everything one identity can reach.
pub trait Cloud: Send + Sync {
    /// Nova.
    fn compute(&self) -> &dyn Compute;
    /// Cinder.
    fn block_storage(&self) -> &dyn BlockStorage;
    /// Neutron.
    fn network(&self) -> &dyn Network;
    /// Glance.
    fn images(&self) -> &dyn Images;
}

/// Glance.
#[async_trait::async_trait]
pub trait Images: Send + Sync {
    /// The image's name; not-found is an error of that kind.
    async fn image_name(&self, id: &services_types::ImageId) -> Result<String, crate::CloudError>;
}
