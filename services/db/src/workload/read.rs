//! Looking at workloads.

use std::collections::BTreeMap;

use diesel::prelude::*;
use services_types::{ProjectId, ServerId, WorkloadId};

use super::row::{Workload, WorkloadRow};
use super::{Member, members, metadata};
use crate::column::Row;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::{claimed_servers, workloads};
use crate::{Datastore, Error};

impl Datastore {
    /// One workload that was not deleted, of whatever project.
    pub async fn workload_fetch(&self, id: WorkloadId) -> Result<Workload, Error> {
        self.read("read a workload", move |connection| fetch(connection, id))
            .await
    }

    /// The workloads of a project, or of all, oldest first.
    pub async fn workload_list(&self, project: Option<ProjectId>) -> Result<Vec<Workload>, Error> {
        self.read("list workloads", move |connection| {
            let mut query = workloads::table
                .filter(workloads::deleted.eq(false))
                .order((workloads::created_at, workloads::id))
                .select(WorkloadRow::as_select())
                .into_boxed();
            if let Some(project) = &project {
                query = query.filter(workloads::project_id.eq(project.as_str()));
            }
            let rows = query.load(connection)?;
            rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
        })
        .await
    }

    /// The workload's servers in the order in which they were added; none of an unknown workload.
    pub async fn workload_members(&self, id: WorkloadId) -> Result<Vec<Member>, Error> {
        self.read("read the members of a workload", move |connection| {
            members::load(connection, id)
        })
        .await
    }

    /// What clients keep beside the workload; nothing of an unknown workload.
    pub async fn workload_metadata(
        &self,
        id: WorkloadId,
    ) -> Result<BTreeMap<String, String>, Error> {
        self.read("read the metadata of a workload", move |connection| {
            metadata::load(connection, id)
        })
        .await
    }

    /// Which workload protects this server.
    pub async fn workload_of_server(&self, id: ServerId) -> Result<Option<WorkloadId>, Error> {
        self.read("find the workload of a server", move |connection| {
            let owner: Option<String> = claimed_servers::table
                .find(id.as_str())
                .select(claimed_servers::workload_id)
                .first(connection)
                .optional()?;
            let row = Row {
                what: "claim on server",
                id: id.as_str(),
            };
            Ok(row.parse_if_any(owner.as_deref())?)
        })
        .await
    }
}

pub(super) fn fetch(connection: &mut AnyConnection, id: WorkloadId) -> Result<Workload, Stop> {
    let row = workloads::table
        .find(id.to_string())
        .filter(workloads::deleted.eq(false))
        .select(WorkloadRow::as_select())
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("workload", &id))?;
    Ok(row.try_into()?)
}
