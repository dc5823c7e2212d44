//! The API over HTTP: one request, one JSON answer or a fault.

mod client;
mod error;
mod find;
mod url;

pub(crate) use client::Api;
pub(crate) use error::ApiError;
pub(crate) use find::{Kind, RESTORE, SNAPSHOT, TRUST, WORKLOAD, WORKLOAD_TYPE, text};
