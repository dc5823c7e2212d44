//! `backstay-datamover` for people without a cloud: disks to a target and back, from a shell.
//!
//! ```text
//! arguments ──> session (target, state, progress, Ctrl-C) ──> transfer (what the daemon uses, too)
//!                  └──> catalogue (whose backups are on the target) <── layout, manifests
//! ```
//! What it writes is what the service writes (docs/FORMAT.md): a name stands for a workload of one
//! disk, whose id follows from the name. Results go to standard output, everything else to standard
//! error.
//!
//! | file | |
//! |---|---|
//! | `arguments` | the command line |
//! | `session`, `interrupt`, `progress` | what all subcommands need while they run |
//! | `catalogue`, `point` | names and points in time on a target, chains of images |
//! | `place` | where a disk is: file, device, RBD, NBD |
//! | `target` | opening a target |
//! | one file a subcommand | `backup`, `restore`, `verify`, `merge`, `export`, `info` |

mod arguments;
mod backup;
mod catalogue;
mod error;
mod export;
mod info;
mod interrupt;
mod merge;
mod output;
mod place;
mod point;
mod progress;
mod restore;
mod session;
mod target;
mod verify;

pub use arguments::Command;
use error::CommandError;
pub use output::complain;
use services_foundation::error_chain::ErrorChain;
use session::Session;

/// Carries a subcommand out and answers the exit status; errors are told on standard error.
pub fn run(command: &Command) -> u8 {
    match carry_out(command) {
        Ok(()) => 0,
        Err(error) => {
            output::complain(&format!("error: {}", ErrorChain(&error)));
            error.exit_status()
        }
    }
}

fn carry_out(command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Backup(arguments) => {
            if arguments.initialise {
                arguments.target.initialise(&arguments.common)?;
            }
            backup::run(
                &Session::open(&arguments.common, &arguments.target)?,
                arguments,
            )
        }
        Command::Restore(arguments) => restore::run(
            &Session::open(&arguments.common, &arguments.target)?,
            arguments,
        ),
        Command::Verify(arguments) => verify::run(
            &Session::open(&arguments.common, &arguments.target)?,
            arguments,
        ),
        Command::Merge(arguments) => merge::run(
            &Session::open(&arguments.common, &arguments.target)?,
            arguments,
        ),
        Command::Export(arguments) => export::run(
            &Session::open(&arguments.common, &arguments.target)?,
            arguments,
        ),
        Command::Info(arguments) => info::run(
            &Session::open(&arguments.common, &arguments.target)?,
            arguments,
        ),
    }
}
