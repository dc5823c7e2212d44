//! Asks for the snapshots that schedules want. Several schedulers may run; a lease in the database
//! lets one of them work, and were two to work at once the database would refuse the second request
//! for the same slot.
//!
//! | file | |
//! |---|---|
//! | `due` | whether a schedule wants a snapshot now (pure) |
//! | `round` | once over all workloads: asks for what is due |
//! | `leader` | round after round, while this scheduler has the lease |

mod due;
mod leader;
mod round;
pub mod settings;

pub use due::{MISFIRE_GRACE, due};
pub use leader::lead;
pub use round::{Round, RoundError, run_round};
