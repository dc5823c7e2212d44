//! `workloadmgr`, the command line of the API: one command is one small file in `commands/`,
//! registered in one table (`commands::COMMANDS`).
//!
//! ```text
//! arguments -> app (clap) -> commands::COMMANDS -> session (Keystone) -> api (HTTP) -> output
//!                                                                         `-> wait, for --wait
//! ```
//!
//! What stands on stdout is the result and nothing else; progress, hints and errors go to stderr.
//! No token and no password is ever printed.

mod api;
mod app;
mod commands;
mod error;
mod output;
mod overview;
mod reference;
mod report;
mod session;
mod wait;

pub use app::run;
pub use reference::reference;
