//! Makes the servers of a snapshot anew, on their original networks (one-click).
//!
//! 1. The backup is read from the target, not from the database: manifest, chain of images, topology.
//! 2. What will be made is decided from the backup and from what the project has now; what stands in
//!    the way is said before anything is made.
//! 3. Security groups and flavors that are gone are made again.
//! 4. Empty volumes are made and reserved, so that nobody attaches half a disk; hosts are connected to
//!    those that they do not reach by themselves; datamovers fill them, checking every cluster against its
//!    digest; then they are released. Disks that Nova kept become volumes too. What was left out of the
//!    backup is made empty, a boot disk of its image.
//! 5. Ports with the old addresses, then servers.
//! 6. The workload's members become the new servers, and the restore is published.
//!
//! Everything carries the flow's mark from its creation, so that an undo finds it after any crash:
//! a restore that fails leaves nothing in the project, or says by name what it could not remove.

mod backup;
mod choose_hosts;
mod connect_volumes;
mod create_flavors;
mod create_ports;
mod create_security_groups;
mod create_servers;
mod create_volumes;
mod disconnect_volumes;
mod fill_volumes;
mod plan;
mod plan_restore;
mod planned_volumes;
mod publish;
mod read_backup;
mod release_volumes;
mod remove_marks;
mod undo_connections;
mod undo_fills;
mod undo_flavors;
mod undo_ports;
mod undo_security_groups;
mod undo_servers;
mod undo_volumes;

use services_types::{FlowKind, FlowRequest, SnapshotId};

use super::workload_lock::LockWorkload;
use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};

pub(super) fn steps() -> Steps {
    Steps::of(FlowKind::RestoreCreate)
        .then(LockWorkload)
        .then(read_backup::ReadBackup)
        .then(plan_restore::PlanRestore)
        .then(choose_hosts::ChooseHosts)
        .then(undo_security_groups::UndoSecurityGroups)
        .then(create_security_groups::CreateSecurityGroups)
        .then(undo_flavors::UndoFlavors)
        .then(create_flavors::CreateFlavors)
        .then(undo_volumes::UndoVolumes)
        .then(create_volumes::CreateVolumes)
        .then(undo_connections::UndoConnections)
        .then(connect_volumes::ConnectVolumes)
        .then(undo_fills::UndoFills)
        .then(fill_volumes::FillVolumes)
        .then(disconnect_volumes::DisconnectVolumes)
        .then(release_volumes::ReleaseVolumes)
        .then(undo_ports::UndoPorts)
        .then(create_ports::CreatePorts)
        .then(undo_servers::UndoServers)
        .then(create_servers::CreateServers)
        .then(remove_marks::RemoveMarks)
        .then(publish::Publish)
}

pub(super) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    let message = settlement.tenant_words();
    Ok(flow
        .db()
        .restore_fail(flow.claim(), settlement.stopped(), &message)
        .await?)
}

/// The snapshot that is restored.
fn snapshot_id(flow: &FlowContext) -> Result<SnapshotId, StepFailure> {
    match flow.claim().request {
        FlowRequest::RestoreCreate { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(StepFailure::new("The flow's request is of another kind")),
    }
}

/// What a volume, a server or a port carries until the restore is published.
fn mark(flow: &FlowContext) -> String {
    flow.claim().flow_id.to_string()
}
