//! Ports to the OpenStack services that Backstay works with, the adapter that speaks to a real
//! cloud, and a fake cloud for fast tests.
//!
//! A [`Cloud`] acts as one identity: the tenant (by trust) or Backstay's own service user. Which of
//! the two a call needs is said on the method where it is not the tenant.

mod adapter;
mod error;
#[cfg(feature = "fake")]
#[expect(
    clippy::indexing_slicing,
    reason = "a field that a JSON object lacks reads as null"
)]
pub mod fake;
pub mod ports;

pub use adapter::{connect, connect_service, connect_tenant};
pub use error::{CloudError, CloudErrorKind, gone_is_fine, if_found};
pub use ports::{BlockStorage, Cloud, Compute, Images, Network};
