//! The HTTP edge of Backstay: parses a request, sees that it may be done, asks the database (or, in
//! the caller's name, the cloud), and answers in the contract's shapes. It decides nothing else, and
//! it runs no flows: it writes down what the engine is to do.
//!
//! A request's way: `answering` (id, log line, shape of errors) -> `services_keystone::authenticate`
//! (token) -> `access::enforce` (policy, project) -> handler in `v1/<noun>/<verb>.rs`. All of it is
//! built from the one table [`ROUTES`].

mod access;
mod answering;
mod app;
mod body;
mod cloud;
mod error;
mod fault;
mod lookup;
pub mod openapi;
mod policy;
mod refusal;
mod routes;
pub mod settings;
mod uninterrupted;
mod v1;

pub use app::{Shared, StartError, listen};
pub use policy::{DEFAULTS, DefaultRule, Policy, PolicyError};
pub use routes::{ROUTES, Route};
