//! Which servers a caller may put under a workload: servers of their own project that exist, are not
//! broken, and that no other workload protects.

use std::collections::BTreeSet;

use services_db::{Datastore, Member};
use services_openstack::Cloud;
use services_types::{ProjectId, ServerId, WorkloadId};

use super::wire::InstanceRef;
use crate::error::ApiError;
use crate::refusal::already_attached;

/// More would not fit into one set of Cinder snapshots taken at one moment.
const MOST_MEMBERS: usize = 200;

/// Looks every server up, as the caller.
pub(super) async fn resolve(
    cloud: &dyn Cloud,
    datastore: &Datastore,
    project_id: &ProjectId,
    workload_id: WorkloadId,
    given: &[InstanceRef],
) -> Result<Vec<Member>, ApiError> {
    let ids = distinct_ids(given)?;
    let mut members = Vec::with_capacity(ids.len());
    for id in ids {
        if datastore
            .workload_of_server(id.clone())
            .await?
            .is_some_and(|owner| owner != workload_id)
        {
            return Err(ApiError::Conflict(already_attached(&id)));
        }
        members.push(member(cloud, project_id, id).await?);
    }
    Ok(members)
}

async fn member(
    cloud: &dyn Cloud,
    project_id: &ProjectId,
    id: ServerId,
) -> Result<Member, ApiError> {
    let server = match cloud.compute().server_fetch(&id).await {
        Err(error) if error.is_not_found() => return Err(not_in_nova(&id)),
        other => other?,
    };
    // An administrator's token shows servers of other projects too.
    if server.project_id != *project_id || is_deleted(&server.status) {
        return Err(not_in_nova(&id));
    }
    if server.status == "ERROR" {
        return Err(ApiError::Conflict(format!(
            "Virtual Machine '{id}' is in state ERROR"
        )));
    }
    Ok(Member {
        server_id: id,
        name: server.name,
    })
}

fn is_deleted(status: &str) -> bool {
    matches!(status, "DELETED" | "SOFT_DELETED")
}

fn not_in_nova(id: &impl std::fmt::Display) -> ApiError {
    ApiError::NotFound(format!(
        "Unable to find Virtual Machine '{id}' in nova inventory"
    ))
}

/// In the order given, each once; a text that is no id names no server.
fn distinct_ids(given: &[InstanceRef]) -> Result<Vec<ServerId>, ApiError> {
    if given.is_empty() {
        return Err(ApiError::BadRequest(
            "A workload needs at least one instance.".to_owned(),
        ));
    }
    if given.len() > MOST_MEMBERS {
        return Err(ApiError::BadRequest(format!(
            "A workload has at most {MOST_MEMBERS} instances."
        )));
    }
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for instance in given {
        let shown: String = instance.instance_id.chars().take(64).collect();
        let id: ServerId = instance
            .instance_id
            .parse()
            .map_err(|_| not_in_nova(&shown))?;
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(ids: &[&str]) -> Vec<InstanceRef> {
        ids.iter()
            .map(|id| InstanceRef {
                instance_id: (*id).to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_server_named_twice_counts_once_and_order_is_kept() {
        let ids = distinct_ids(&refs(&["b", "a", "b"])).unwrap();
        assert_eq!(
            ids.iter().map(ServerId::as_str).collect::<Vec<_>>(),
            ["b", "a"]
        );
    }

    #[test]
    fn a_workload_without_servers_is_refused() {
        assert!(matches!(distinct_ids(&[]), Err(ApiError::BadRequest(_))));
    }

    #[test]
    fn a_path_is_no_server() {
        assert!(matches!(
            distinct_ids(&refs(&["../x"])),
            Err(ApiError::NotFound(_))
        ));
    }
}
