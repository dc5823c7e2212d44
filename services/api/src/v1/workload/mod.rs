//! Workloads: which servers are protected together, and when.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
mod members;
pub(crate) mod show;
pub(crate) mod unlock;
pub(crate) mod update;
mod wire;

pub(crate) use wire::{
    ChangeWorkload, CreateWorkload, WorkloadAnswer, WorkloadDetailAnswer, WorkloadList,
};
