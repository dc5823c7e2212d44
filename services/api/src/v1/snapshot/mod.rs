//! Snapshots: backups of a workload.

pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod delete;
mod instances;
pub(crate) mod list;
pub(crate) mod list_detail;
pub(crate) mod show;
pub(crate) mod verify;
mod wire;

pub(crate) use wire::{
    CreateSnapshot, SnapshotAnswer, SnapshotList, SnapshotListDetail, SnapshotObject,
    SnapshotShowAnswer,
};
