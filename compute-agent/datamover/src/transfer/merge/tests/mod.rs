//! Merges on every kind of target, interrupted everywhere.

mod crashes;
mod history;
mod retention;
mod ways;
