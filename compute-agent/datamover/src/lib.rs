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
//! | `server_disks`, `points` | what disks a server has; points in time of those that Nova keeps |
//! | `connections` | volumes of any Cinder backend, connected by os-brick |
//! | `disks`, `targets` | where a request's names lead on this host |
//! | `journal` | what survives a crash |

pub mod command;
mod connections;
mod daemon;
mod disks;
mod freeze;
mod journal;
mod points;
mod refused;
mod server_disks;
mod settings;
mod targets;
mod transfer;

pub use daemon::{Datamover, serve};
pub use settings::{
    BrickSettings, CephSettings, PointSettings, Settings, TargetSettings, TransferSettings,
};
