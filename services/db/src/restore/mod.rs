//! Restores: servers made again out of a snapshot.

mod progress;
mod publish;
mod read;
mod request;
mod row;
mod stop;

pub use publish::{RestoreOutcome, RestoredServer};
pub use read::RestoreFilter;
pub use request::NewRestore;
pub use row::Restore;
