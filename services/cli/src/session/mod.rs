//! Who we are and where the API is: options, `clouds.yaml`, Keystone, the catalog.
//!
//! ```text
//! options ─┬─> config ──> keystone (POST /v3/auth/tokens) ──> endpoint (catalog) ──> Session
//! clouds ──┘
//! ```

mod clouds;
mod config;
mod endpoint;
mod error;
mod keystone;
mod login;
mod options;

pub(crate) use error::LoginError;
pub(crate) use login::{Session, login};
pub(crate) use options::{CloudOptions, cloud_arguments};
