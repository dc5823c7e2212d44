//! Gives the restored things to their owner: our marks come off, floating addresses go back, the new
//! servers are members of the workload.

use async_trait::async_trait;
use services_types::PortId;
use std::collections::BTreeMap;
use tracing::warn;

use super::create_ports::CreatePorts;
use super::create_servers::{self, CreateServers};
use super::create_volumes::{self, CreateVolumes};
use super::plan_restore::PlanRestore;
use crate::runner::{Step, StepContext, StepFailure};

/// Nothing here is worth undoing a good restore for: what fails is a warning.
#[derive(Debug)]
pub(super) struct RemoveMarks;

#[async_trait]
impl Step for RemoveMarks {
    const NAME: &'static str = "remove_marks";
    /// Warnings for the restore.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let mut warnings = Warnings::default();
        warnings.take("floating addresses", floating_ips(cx).await);
        warnings.take("membership metadata", membership(cx).await);
        for id in cx.output_of::<CreatePorts>()?.values() {
            warnings.take("a port's description", undescribe(cx, id).await);
        }
        for new in cx.output_of::<CreateVolumes>()?.values() {
            let done = create_volumes::unmark(cx, &new.volume_id).await;
            warnings.take("a volume's metadata", done);
        }
        for id in cx.output_of::<CreateServers>()?.values() {
            warnings.take("a server's metadata", create_servers::unmark(cx, id).await);
        }
        Ok(warnings.0)
    }
}

#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn take(&mut self, what: &str, result: Result<(), StepFailure>) {
        if let Err(failure) = result {
            warn!(
                what,
                reason = failure.operator_message,
                "left as it is after a restore"
            );
            self.0
                .push(format!("Could not set {what} right: {failure}"));
        }
    }
}

async fn undescribe(cx: &StepContext, id: &PortId) -> Result<(), StepFailure> {
    let network = cx.tenant().await?.network();
    Ok(network.port_set_description(id, "").await?)
}

async fn floating_ips(cx: &StepContext) -> Result<(), StepFailure> {
    let plan = cx.output_of::<PlanRestore>()?;
    let ports = cx.output_of::<CreatePorts>()?;
    for nic in plan.servers.iter().flat_map(|server| &server.nics) {
        let (Some(address), Some(port)) = (&nic.floating_ip, ports.get(&nic.port_id)) else {
            continue;
        };
        let network = cx.tenant().await?.network();
        if !network.floating_ip_associate(address, port).await? {
            return Err(StepFailure::new(format!(
                "floating address {} is gone or in use",
                address.floating_ip_address
            )));
        }
    }
    Ok(())
}

async fn membership(cx: &StepContext) -> Result<(), StepFailure> {
    let workload = cx
        .db()
        .workload_fetch(cx.claim().request.workload_id())
        .await?;
    let pairs = BTreeMap::from([
        ("workload_id".to_owned(), workload.id.to_string()),
        ("workload_name".to_owned(), workload.name),
    ]);
    for id in cx.output_of::<CreateServers>()?.values() {
        cx.tenant()
            .await?
            .compute()
            .server_metadata_set(id, &pairs)
            .await?;
    }
    Ok(())
}
