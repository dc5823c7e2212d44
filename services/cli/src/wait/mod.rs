//! `--wait`: ask the API again and again until the job has ended, and tell how it goes on stderr.
//!
//! The job is the server's: `--timeout` and Ctrl-C end the waiting, never the job.

mod follow;
mod options;
mod progress;
mod verdict;

pub(crate) use follow::{Hints, follow};
pub(crate) use options::WaitOptions;
pub(crate) use verdict::Goal;
