//! What clients keep beside a workload, key by key.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::WorkloadId;
use uuid::Uuid;

use crate::column::{VERSION, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::workload_metadata;

pub(super) fn load(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
) -> Result<BTreeMap<String, String>, Stop> {
    let rows: Vec<(String, String)> = workload_metadata::table
        .filter(workload_metadata::workload_id.eq(workload_id.to_string()))
        .filter(workload_metadata::deleted.eq(false))
        .select((workload_metadata::key, workload_metadata::value))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

/// Makes the metadata be exactly this.
pub(super) fn replace(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    metadata: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(workload_metadata::table)
        .filter(workload_metadata::workload_id.eq(workload_id.to_string()))
        .filter(workload_metadata::deleted.eq(false))
        .set((
            workload_metadata::deleted.eq(true),
            workload_metadata::deleted_at.eq(to_moment(now)),
            workload_metadata::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    for (key, value) in metadata {
        diesel::insert_into(workload_metadata::table)
            .values((
                workload_metadata::created_at.eq(to_moment(now)),
                workload_metadata::updated_at.eq(to_moment(now)),
                workload_metadata::deleted.eq(false),
                workload_metadata::version.eq(VERSION),
                workload_metadata::id.eq(Uuid::new_v4().to_string()),
                workload_metadata::workload_id.eq(workload_id.to_string()),
                workload_metadata::key.eq(key),
                workload_metadata::value.eq(value),
            ))
            .execute(connection)?;
    }
    Ok(())
}
