//! A small S3 server in memory, with one bucket. It checks what real servers are strict about and ours must keep
//! to: the least size of parts, their tags, and that no part is left out (as Ceph does). It believes any signature.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests fail by panicking"
)]

mod answers;
mod bucket;
pub mod http;
mod pause;
mod server;
mod uploads;

pub use answers::error;
pub use bucket::{Contents, Object};
pub use server::{BUCKET, Habits, Server};
