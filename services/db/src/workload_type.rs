//! The built-in types of workloads: serial and parallel; rows that the first migration writes.

use diesel::prelude::*;
use services_types::WorkloadTypeId;

use crate::column::Row;
use crate::schema::workload_types;
use crate::{Datastore, Error};

/// A type of workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadType {
    /// Its id, the same everywhere.
    pub id: WorkloadTypeId,
    /// Display name.
    pub name: String,
    /// Display description.
    pub description: String,
    /// Whether every project may use it.
    pub is_public: bool,
    /// Always `available`.
    pub status: String,
    /// When it was first known here.
    pub created_at: chrono::DateTime<chrono::Utc>,
}

impl Datastore {
    /// All types, by name.
    pub async fn workload_type_list(&self) -> Result<Vec<WorkloadType>, Error> {
        self.read("list the workload types", |connection| {
            let rows: Vec<(String, String, String, bool, String, chrono::NaiveDateTime)> =
                workload_types::table
                    .filter(workload_types::deleted.eq(false))
                    .order(workload_types::display_name)
                    .select((
                        workload_types::id,
                        workload_types::display_name,
                        workload_types::display_description,
                        workload_types::is_public,
                        workload_types::status,
                        workload_types::created_at,
                    ))
                    .load(connection)?;
            rows.into_iter()
                .map(|(id, name, description, is_public, status, created_at)| {
                    let row = Row {
                        what: "workload type",
                        id: &id,
                    };
                    Ok(WorkloadType {
                        id: row.parse(&id)?,
                        name,
                        description,
                        is_public,
                        status,
                        created_at: created_at.and_utc(),
                    })
                })
                .collect()
        })
        .await
    }

    /// One type.
    pub async fn workload_type_fetch(&self, id: WorkloadTypeId) -> Result<WorkloadType, Error> {
        let types = self.workload_type_list().await?;
        types
            .into_iter()
            .find(|known| known.id == id)
            .ok_or_else(|| Error::not_found("workload type", &id))
    }
}
