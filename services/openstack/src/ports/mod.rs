//! One trait a service, in our own terms. Every method is one call or one paged list; waiting for a
//! state is the caller's. Implementations: `adapter` (a real cloud); the fake cloud is reached
//! through the same adapter, over HTTP. Both pass `conformance`.

mod block_storage;
mod compute;
mod images;
mod network;

pub use block_storage::{
    Attachment, BlockStorage, NewVolume, NewVolumeSnapshot, Volume, VolumeSnapshot, VolumeSource,
};
pub use compute::{Compute, NewServer, NewServerDisk, Server, VolumeAttachment};
pub use images::{Image, Images};
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
