//! Trusts: a user lets Backstay work for them later, in one project.

pub(crate) mod create;
pub(crate) mod delete;
mod ensure;
pub(crate) mod list;
pub(crate) mod show;
mod wire;

pub(crate) use ensure::ensure_trust;
pub(crate) use wire::{CreateTrust, TrustAnswer, TrustList};
