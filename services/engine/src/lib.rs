//! The engine: runs the flows that the API and the scheduler ask for, and takes over those of engines
//! that died. `flows` says what each does, `runner` how they are kept alive.

mod connections;
mod context;
mod datamovers;
mod flows;
mod hosts;
mod retention;
mod runner;
mod settings;
mod storage;
mod target_files;
mod targets;
mod transfers;
mod wait;

pub use connections::KeystoneConnections;
pub use context::{Connections, FlowContext, Services};
pub use flows::step_names;
pub use runner::{Effect, Fault, Lease, StepFailure, run};
pub use settings::EngineSettings;
pub use targets::Targets;
