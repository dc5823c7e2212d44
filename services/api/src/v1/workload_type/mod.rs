//! Workload types: serial and parallel.

pub(crate) mod list;
pub(crate) mod show;
mod wire;

pub(crate) use wire::{WorkloadTypeAnswer, WorkloadTypeList};
