//! Commands about restores.

pub(super) mod cancel;
pub(super) mod delete;
pub(super) mod list;
pub(super) mod show;

use crate::wait::Hints;

/// For whoever stops waiting for a restore.
pub(super) const HINTS: Hints = Hints {
    look: "restore-show",
    cancel: Some("restore-cancel"),
};
