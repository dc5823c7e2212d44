//! Commands about workload types.

pub(super) mod list;
pub(super) mod show;
