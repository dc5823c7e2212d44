//! Makes the security groups that are gone.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_types::{SecurityGroupId, SecurityGroupRecord};

use super::mark;
use super::plan::RestorePlan;
use super::plan_restore::PlanRestore;
use crate::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};

/// For each original group, the group that stands for it now.
#[derive(Debug)]
pub(super) struct CreateSecurityGroups;

#[async_trait]
impl Step for CreateSecurityGroups {
    const NAME: &'static str = "create_security_groups";
    type Output = BTreeMap<SecurityGroupId, SecurityGroupId>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let mut groups: BTreeMap<_, _> = plan
            .groups
            .iter()
            .filter_map(|(original, found)| Some((original.clone(), found.clone()?)))
            .collect();
        let made = made_by_flow(cx, &plan).await?;
        for record in in_order_of_need(&plan.new_groups) {
            let id = match made.get(&record.id) {
                Some(id) => id.clone(),
                None => create(cx, record, &groups).await?,
            };
            groups.insert(record.id.clone(), id);
        }
        Ok(groups)
    }
}

async fn create(
    cx: &StepContext,
    record: &SecurityGroupRecord,
    groups: &BTreeMap<SecurityGroupId, SecurityGroupId>,
) -> Result<SecurityGroupId, StepFailure> {
    let mut group = record.clone();
    for rule in &mut group.rules {
        if let Some(named) = &rule.remote_group_id
            && let Some(stands_for_it) = groups.get(named)
        {
            rule.remote_group_id = Some(stands_for_it.clone());
        }
    }
    let description = description(cx, record);
    Ok(cx
        .tenant()
        .await?
        .network()
        .security_group_create(&group, &description)
        .await?)
}

/// Groups that others' rules name come before those, as far as that can be.
fn in_order_of_need(groups: &[SecurityGroupRecord]) -> Vec<&SecurityGroupRecord> {
    let mut ordered: Vec<&SecurityGroupRecord> = Vec::with_capacity(groups.len());
    let mut waiting: Vec<_> = groups.iter().collect();
    while !waiting.is_empty() {
        let is_ready = |group: &&SecurityGroupRecord, waiting: &[&SecurityGroupRecord]| {
            !group
                .rules
                .iter()
                .filter_map(|rule| rule.remote_group_id.as_ref())
                .any(|named| *named != group.id && waiting.iter().any(|other| other.id == *named))
        };
        // A ring of groups that name each other has no order: the first goes first.
        let next = waiting
            .iter()
            .position(|group| is_ready(group, &waiting))
            .unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}

fn description(cx: &FlowContext, original: &SecurityGroupRecord) -> String {
    format!(
        "Restored from original security group {} (flow {})",
        original.id,
        mark(cx)
    )
}

/// Groups that this flow has made, by the id of their original.
pub(super) async fn made_by_flow(
    cx: &FlowContext,
    plan: &RestorePlan,
) -> Result<BTreeMap<SecurityGroupId, SecurityGroupId>, StepFailure> {
    let mut made = BTreeMap::new();
    for record in &plan.new_groups {
        let network = cx.tenant().await?.network();
        let named = network
            .security_groups_named(&record.name, &cx.claim().project_id)
            .await?;
        let ours = description(cx, record);
        if let Some(group) = named.into_iter().find(|group| group.description == ours) {
            made.insert(record.id.clone(), group.id);
        }
    }
    Ok(made)
}
