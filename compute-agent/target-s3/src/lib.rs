//! A target that is a bucket of an object store which speaks S3.
//!
//! An image is one plain object, of any size, and nothing is staged on a local disk: it is a multipart
//! upload whose first part (header and L1 table) is sent last. What is unfinished is invisible. Beside
//! an unfinished image `<folder>/<name>` stand, under names that no object can have:
//!
//! | `<folder>/.<name>.partial/` | |
//! |---|---|
//! | `state` | which upload it is, and how it is cut into parts |
//! | `tail-<offset>` | bytes that were synced and are less than a part, since parts cannot be read back |
//!
//! Requests are tried again here, by the rules that object stores ask of their clients (`503 Slow
//! Down`, jitter): a bucket that hiccups is normal. Who calls sees an error only when that did not help.

mod bucket;
mod client;
mod composition;
mod configuration;
mod error;
mod features;
mod limits;
mod read_ahead;
mod reader;
mod retention;
mod runtime;
mod settings;
mod sink;
mod target;
mod unfinished;

pub use configuration::{OpenError, TargetSettings};
pub use settings::{S3Settings, SettingsError};
pub use target::S3Target;
