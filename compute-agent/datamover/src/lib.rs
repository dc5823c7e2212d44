//! The datamover: moves disks of one compute host between their storage and backup targets, and
//! freezes guests for a moment. It is asked over the message bus and runs as the user of Nova.
//!
//! | file | |
//! |---|---|
//! | `settings` | the configuration file |
//! | `daemon` | all of it put together |
//! | `command` | subcommands for people without a cloud |
//! | `transfer` | disks to images, chains of images to volumes |
//! | `freeze` | guests, never for longer than a deadline |
//! | `disks`, `targets` | where a request's names lead on this host |
//! | `journal` | what survives a crash |

pub mod command;
mod daemon;
mod disks;
mod freeze;
mod journal;
mod settings;
mod targets;
mod transfer;

pub use daemon::{Datamover, serve};
pub use settings::{CephSettings, Settings, TargetSettings, TransferSettings};
