//! What every program of ours needs and that knows no word of the domain: configuration files,
//! logging, printing an error with its causes, and stopping on a signal.

pub mod config;
pub mod error_chain;
pub mod shutdown;
pub mod telemetry;
