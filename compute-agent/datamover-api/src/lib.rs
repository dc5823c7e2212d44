//! The datamover API: the HTTP end of the contract on the controllers. It lets service users in,
//! hands each question to the host it is for over the message bus, and keeps nothing but when it
//! heard of which host, so that any number of it may run side by side.
//!
//! | file | |
//! |---|---|
//! | `settings` | the configuration file |
//! | `server` | the application: routes, limits, who may pass |
//! | `routes` | one file a noun |
//! | `bus` | asking a host |
//! | `refused` | how a refusal becomes an HTTP answer |

mod bus;
mod refused;
mod routes;
mod server;
mod settings;

pub use bus::{Hosts, OverBus};
pub use server::{Application, configure, serve};
pub use settings::Settings;
