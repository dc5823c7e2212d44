//! Who we are and where the API is: options, `clouds.yaml`, Keystone, the catalog.

mod config;
mod endpoint;
mod error;
mod login;
mod options;

pub(crate) use error::LoginError;
pub(crate) use login::{Session, login};
pub(crate) use options::{CloudOptions, cloud_arguments};
