//! The S3 target against a server in memory, with a proxy between that makes requests fail, and
//! against the real servers of a cloud.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests fail by panicking"
)]

mod cloud;
mod composition;
mod conformance;
mod faults;
mod live;
mod proxy;
mod reading;
mod site;
mod tls;
mod uploads;
