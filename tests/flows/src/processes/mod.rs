//! A Backstay of real processes: engines, datamover API and datamover as child processes of the test,
//! unprivileged, with a database, a message bus and a target of their own. The cloud is the fake one.
//!
//! ```text
//! test process                         child processes, user nobody
//!   fake cloud <────── HTTP ──────────── backstay-engine, once or twice
//!   rows and flows ──> database <───────      │ HTTP
//!                                        backstay-datamover-api
//!                                             │ RabbitMQ
//!   volumes' files <──────────────────── backstay-datamover ──> target
//! ```

mod bus;
mod configuration;
mod daemon;
mod deployment;
mod guest;
mod mounted_target;
mod programs;
mod unprivileged;

pub use daemon::Daemon;
pub use deployment::{DatabaseKind, Deployment, DeploymentOptions};
pub use guest::Guest;
pub use mounted_target::MountedTarget;
