//! Transfers: one disk each, from a snapshot to an image on a target or back onto a volume.
//!
//! | file | |
//! |---|---|
//! | `table` | all transfers of this host: asked for, shown, cancelled, fenced, remembered |
//! | `worker` | the threads that carry them out |
//! | `entry` | what the journal holds of one |
//! | `run` | what one needs to be carried out; `backup`, `restore`, `remove` do it |
//! | `plan`, `clusters`, `reading`, `lineage` | what is read, as whole clusters; reading objects, whose chain |
//! | `ticket`, `throttle` | progress and interruption; how fast |

mod backup;
mod clusters;
mod entry;
mod error;
mod lineage;
mod plan;
mod reading;
mod remove;
mod restore;
mod run;
mod table;
#[cfg(test)]
mod test_host;
mod throttle;
mod ticket;
mod worker;

pub(crate) use error::{JobError, disk};
pub(crate) use run::Host;
pub(crate) use table::Transfers;
pub(crate) use throttle::Throttle;
pub(crate) use worker::start as start_workers;
