//! Commands about workloads.

pub(super) mod create;
pub(super) mod delete;
pub(super) mod list;
pub(super) mod modify;
pub(super) mod show;
pub(super) mod snapshot;
pub(super) mod unlock;

use crate::wait::Hints;

/// Nothing cancels work on a workload itself.
const HINTS: Hints = Hints {
    look: "workload-show",
    cancel: None,
};
