//! One restore, as the database keeps it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{ProjectId, RestoreId, RestoreOptions, RestoreStatus, SnapshotId, UserId};

use crate::Error;
use crate::column::{Row, moment};
use crate::schema::restores;

/// The contract's word in `restore_type` of every restore; the kind stands in the options.
pub(super) const RESTORE_TYPE: &str = "restore";

/// A restore without the servers that it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Its id.
    pub id: RestoreId,
    /// What is restored.
    pub snapshot_id: SnapshotId,
    /// Who asked for it.
    pub user_id: UserId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Display name.
    pub name: String,
    /// Display description.
    pub description: String,
    /// Where it stands.
    pub status: RestoreStatus,
    /// The node that performs it.
    pub host: Option<String>,
    /// Bytes that will be written to disks in all.
    pub size_bytes: u64,
    /// Bytes written so far.
    pub uploaded_bytes: u64,
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
    /// What was asked for.
    pub options: RestoreOptions,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = restores)]
pub(super) struct RestoreRow {
    id: String,
    snapshot_id: String,
    user_id: String,
    project_id: String,
    display_name: String,
    display_description: String,
    status: String,
    host: Option<String>,
    size: i64,
    uploaded_size: i64,
    progress_percent: i32,
    progress_msg: Option<String>,
    warning_msg: Option<String>,
    error_msg: Option<String>,
    finished_at: Option<NaiveDateTime>,
    time_taken: i64,
    restore_options: String,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl TryFrom<RestoreRow> for Restore {
    type Error = Error;

    fn try_from(columns: RestoreRow) -> Result<Self, Error> {
        let row = Row {
            what: "restore",
            id: &columns.id,
        };
        Ok(Self {
            id: row.parse(&columns.id)?,
            snapshot_id: row.parse(&columns.snapshot_id)?,
            user_id: row.parse(&columns.user_id)?,
            project_id: row.parse(&columns.project_id)?,
            status: row.parse(&columns.status)?,
            size_bytes: row.count(columns.size)?,
            uploaded_bytes: row.count(columns.uploaded_size)?,
            progress_percent: row.percent(columns.progress_percent)?,
            finished_at: columns.finished_at.map(moment),
            time_taken_seconds: row.count(columns.time_taken)?,
            options: row.json(&columns.restore_options)?,
            created_at: moment(columns.created_at),
            updated_at: moment(columns.updated_at),
            name: columns.display_name,
            description: columns.display_description,
            host: columns.host,
            progress_msg: columns.progress_msg,
            warning_msg: columns.warning_msg,
            error_msg: columns.error_msg,
        })
    }
}
