//! What a caller of the database can be told.

use services_types::{FlowId, FlowKind, ServerId, SnapshotStatus, WorkloadId, WorkloadStatus};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such row, or it was deleted.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The noun.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The rows are in a state in which this must not happen; nothing was changed.
    #[error("not now")]
    Conflict(#[source] Conflict),
    /// The claim or lease was lost: another engine works on this. Nothing was changed, and whoever
    /// holds the old claim must stop at once.
    #[error("the claim on {what} was lost to another holder")]
    Fenced {
        /// The flow's or the lease's name.
        what: String,
    },
    /// The database cannot be reached, or stayed contended for longer than was reasonable.
    /// Asking again later may work; a write that was under way may have happened.
    #[error("the database did not answer to: {doing}")]
    Unavailable {
        /// What was asked of it.
        doing: &'static str,
        /// Why it could not.
        #[source]
        source: Source,
    },
    /// A row holds something that none of ours wrote.
    #[error("the {what} {id} cannot be read")]
    Corrupt {
        /// The noun.
        what: &'static str,
        /// Which row.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// The database refused a statement: a fault of ours, or a value too long for its column.
    #[error("the database refused to: {doing}")]
    Refused {
        /// What was asked of it.
        doing: &'static str,
        /// Its words.
        #[source]
        source: Source,
    },
    /// The text cannot name a database. Never shows the text, which may hold a password.
    #[error("the database URL {reason}")]
    BadUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// In which way the rows stood against a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A server belongs to one workload at most.
    #[error("server {server_id} is already protected by workload {workload_id}")]
    ServerClaimed {
        /// The server.
        server_id: ServerId,
        /// Whose it is.
        workload_id: WorkloadId,
    },
    /// Another flow works on the workload.
    #[error("workload {workload_id} is locked by another operation")]
    Locked {
        /// Which workload.
        workload_id: WorkloadId,
    },
    /// The workload's state does not allow it.
    #[error("the workload is {0}")]
    WorkloadState(WorkloadStatus),
    /// The snapshot's state does not allow it.
    #[error("the snapshot is {0}")]
    SnapshotState(SnapshotStatus),
    /// A state that cannot follow the one that is.
    #[error("a {what} that is {from} cannot become {to}")]
    Transition {
        /// The noun.
        what: &'static str,
        /// The state that is.
        from: &'static str,
        /// The state that was asked for.
        to: &'static str,
    },
    /// A workload is deleted after its snapshots.
    #[error("the workload still has {count} snapshots")]
    HasSnapshots {
        /// How many, unsettled ones included.
        count: u64,
    },
    /// That snapshot was already asked for, perhaps by the scheduler of another node.
    #[error("a snapshot of that due time already exists")]
    AlreadyDue,
    /// One snapshot of a workload at a time.
    #[error("a snapshot of the workload is already running")]
    SnapshotRunning,
    /// A restore or a deletion of the workload's snapshots is under way.
    #[error("a restore or a deletion of one of the workload's snapshots is running")]
    Busy,
    /// It has ended already.
    #[error("the operation has already ended")]
    Ended,
    /// The claimed flow is not of the kind that may do this.
    #[error("a flow of kind {kind} does not do this")]
    WrongFlow {
        /// The claimed flow's kind.
        kind: FlowKind,
    },
    /// There is a row with this id or name.
    #[error("there is already a {what} with this id")]
    Exists {
        /// The noun.
        what: &'static str,
    },
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl Error {
    pub(crate) fn not_found(what: &'static str, id: &impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    pub(crate) fn fenced(flow_id: FlowId) -> Self {
        Self::Fenced {
            what: format!("flow {flow_id}"),
        }
    }
}

/// Why the work inside a transaction stopped: the transaction decides what becomes of it.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The database said no; may be worth another try.
    Sql(diesel::result::Error),
    /// We said no.
    Ours(Error),
}

impl From<diesel::result::Error> for Stop {
    fn from(error: diesel::result::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Conflict> for Stop {
    fn from(conflict: Conflict) -> Self {
        Self::Ours(Error::Conflict(conflict))
    }
}
