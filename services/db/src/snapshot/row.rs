//! One snapshot, as the database keeps it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{ProjectId, SnapshotId, SnapshotStatus, SnapshotType, UserId, WorkloadId};

use crate::Error;
use crate::column::{Row, moment};
use crate::schema::snapshots;

/// A snapshot without its topology and servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose servers it holds.
    pub workload_id: WorkloadId,
    /// Who asked for it.
    pub user_id: UserId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Full or incremental; what was asked for until [`crate::Datastore::snapshot_set_chain`].
    pub snapshot_type: SnapshotType,
    /// Display name.
    pub name: String,
    /// Display description.
    pub description: String,
    /// Where it stands.
    pub status: SnapshotStatus,
    /// The node that made it.
    pub host: Option<String>,
    /// Bytes of it on the target.
    pub size_bytes: u64,
    /// Bytes moved so far.
    pub uploaded_bytes: u64,
    /// Bytes that a restore of it fills.
    pub restore_bytes: u64,
    /// 0 to 100.
    pub progress_percent: u8,
    /// What is being done.
    pub progress_msg: Option<String>,
    /// What its owner should know although it succeeded.
    pub warning_msg: Option<String>,
    /// Why it failed.
    pub error_msg: Option<String>,
    /// When it settled.
    pub finished_at: Option<DateTime<Utc>>,
    /// From being asked for until it settled.
    pub time_taken_seconds: u64,
    /// The slot of the schedule that it fills; `None` for one that somebody asked for.
    pub due_at: Option<DateTime<Utc>>,
    /// The snapshot before it in the chain; `None` for a full one.
    pub backing_snapshot_id: Option<SnapshotId>,
    /// It was deleted, but its images are still needed by later ones.
    pub is_kept_for_chain: bool,
    /// The backup target that has its images.
    pub target_id: Option<String>,
    /// How many incrementals in a row were made up to this one; retention merges some of them, and
    /// does not change this.
    pub incrementals_since_full: u32,
    /// When all it needs was last read and compared.
    pub verified_at: Option<DateTime<Utc>>,
    /// What a verification found to be damaged, in it or in what it builds on.
    pub damage: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; only chain queries show such ones.
    pub deleted_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = snapshots)]
pub(super) struct SnapshotRow {
    id: String,
    workload_id: String,
    user_id: String,
    project_id: String,
    snapshot_type: String,
    display_name: String,
    display_description: String,
    status: String,
    host: Option<String>,
    size: i64,
    uploaded_size: i64,
    restore_size: i64,
    progress_percent: i32,
    progress_msg: Option<String>,
    warning_msg: Option<String>,
    error_msg: Option<String>,
    finished_at: Option<NaiveDateTime>,
    time_taken: i64,
    due_at: Option<NaiveDateTime>,
    backing_snapshot_id: Option<String>,
    is_kept_for_chain: bool,
    target_id: Option<String>,
    incrementals_since_full: i32,
    verified_at: Option<NaiveDateTime>,
    damage_msg: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    deleted_at: Option<NaiveDateTime>,
}

impl TryFrom<SnapshotRow> for Snapshot {
    type Error = Error;

    fn try_from(columns: SnapshotRow) -> Result<Self, Error> {
        let row = Row {
            what: "snapshot",
            id: &columns.id,
        };
        Ok(Self {
            id: row.parse(&columns.id)?,
            workload_id: row.parse(&columns.workload_id)?,
            user_id: row.parse(&columns.user_id)?,
            project_id: row.parse(&columns.project_id)?,
            snapshot_type: row.parse(&columns.snapshot_type)?,
            status: row.parse(&columns.status)?,
            size_bytes: row.count(columns.size)?,
            uploaded_bytes: row.count(columns.uploaded_size)?,
            restore_bytes: row.count(columns.restore_size)?,
            progress_percent: row.percent(columns.progress_percent)?,
            finished_at: columns.finished_at.map(moment),
            time_taken_seconds: row.count(columns.time_taken)?,
            due_at: columns.due_at.map(moment),
            backing_snapshot_id: row.parse_if_any(columns.backing_snapshot_id.as_deref())?,
            incrementals_since_full: row.number(columns.incrementals_since_full)?,
            verified_at: columns.verified_at.map(moment),
            damage: columns.damage_msg,
            created_at: moment(columns.created_at),
            updated_at: moment(columns.updated_at),
            deleted_at: columns.deleted_at.map(moment),
            name: columns.display_name,
            description: columns.display_description,
            host: columns.host,
            progress_msg: columns.progress_msg,
            warning_msg: columns.warning_msg,
            error_msg: columns.error_msg,
            is_kept_for_chain: columns.is_kept_for_chain,
            target_id: columns.target_id,
        })
    }
}
