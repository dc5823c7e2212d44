//! Restores: servers made out of a snapshot.

pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod list_detail;
mod options;
pub(crate) mod show;
mod wire;

pub(crate) use options::CreateRestore;
pub(crate) use wire::{RestoreAnswer, RestoreList, RestoreListDetail, RestoreShowAnswer};
