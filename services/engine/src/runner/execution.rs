//! One claimed flow, run to its end or until the claim is lost.
//!
//! Each flow has a thread and a small runtime of its own. When the lease is lost the runtime is
//! dropped with everything in it: half-done requests, steno's tasks, connections. Nothing of a flow
//! that another engine has taken over is left running here.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use services_foundation::error_chain::ErrorChain;
use services_types::{FlowClaim, FlowStatus};
use steno::{
    ActionRegistry, RepeatInjected, SagaDag, SagaId, SagaNodeEvent, SagaResult, SecClient,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, warn};

use super::fault::Effect;
use super::journal::Journal;
use super::lease::Lease;
use super::step::FlowSaga;
use super::{Settlement, StepFailure};
use crate::{FlowContext, Services, flows};

/// A flow that was claimed so often and has not come to its end never will: what keeps it from that
/// (a log that cannot be read, rows in a state that no step expects) is for an operator.
const MOST_CLAIMS: i64 = 200;

/// How the work on a claim ended.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Settled,
    Lost,
    Released,
}

/// Runs a claimed flow on the calling thread, which must not be a runtime's.
pub(crate) fn run(
    services: Arc<Services>,
    claim: FlowClaim,
    claimed_at: Instant,
    stop: CancellationToken,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, flow_id = %claim.flow_id, "no runtime for a flow; its lease will run out");
            return;
        }
    };
    let span = tracing::info_span!("flow", flow_id = %claim.flow_id, kind = %claim.request.kind(),
        epoch = claim.epoch);
    let ending =
        runtime.block_on(until_settled(services, claim, claimed_at, stop).instrument(span));
    if ending == Ending::Lost {
        warn!("a flow was lost to its lease and dropped here");
    }
    runtime.shutdown_background();
}

async fn until_settled(
    services: Arc<Services>,
    claim: FlowClaim,
    claimed_at: Instant,
    stop: CancellationToken,
) -> Ending {
    let length = services.settings.lease;
    let lease = Arc::new(Lease::new(claimed_at, length));
    let flow = Arc::new(FlowContext::new(
        services.clone(),
        claim.clone(),
        lease.clone(),
    ));
    tokio::select! {
        biased;
        () = lease.lost() => Ending::Lost,
        () = stop.cancelled() => {
            // Dropped like after a crash, but the next engine need not wait for the lease.
            if let Err(error) = services.db.flow_release(&claim).await {
                warn!(cause = %ErrorChain(&error), "the flow's lease could not be given back");
            }
            Ending::Released
        }
        () = renewals(&services, &claim, &lease, length) => Ending::Lost,
        settled = settle(flow) => match settled {
            Ok(()) => Ending::Settled,
            Err(failure) => {
                error!(reason = failure.operator_message, "the flow could not be settled; it will be resumed");
                Ending::Lost
            }
        },
    }
}

/// Renews the lease three times in its length; returns when the flow is another engine's.
async fn renewals(services: &Services, claim: &FlowClaim, lease: &Lease, length: Duration) {
    let mut tick = tokio::time::interval(length / 3);
    tick.tick().await;
    loop {
        tick.tick().await;
        let asked_at = Instant::now();
        match services.db.flow_renew(claim, length).await {
            Ok(()) => lease.renewed(asked_at, length),
            Err(services_db::Error::Fenced { .. }) => {
                lease.lose();
                return;
            }
            // The lease itself says when it is too late.
            Err(error) => warn!(cause = %ErrorChain(&error), "the flow's lease was not renewed"),
        }
    }
}

/// Ends a flow that cannot be brought to its end, so that its workload is not locked for ever.
async fn abandon(flow: &FlowContext) -> Result<(), StepFailure> {
    let settlement = Settlement {
        failure: StepFailure::new("It could not be brought to an end"),
        left_behind: Some(format!(
            "it was taken up {MOST_CLAIMS} times; see the engines' logs"
        )),
    };
    let settled = flows::settle_failed(flow, &settlement).await;
    if let Err(failure) = &settled {
        error!(
            reason = failure.operator_message,
            "the rows of an abandoned flow stay as they are"
        );
    }
    let outcome = settlement.tenant_words();
    Ok(flow
        .db()
        .flow_finish(flow.claim(), FlowStatus::Stuck, Some(&outcome))
        .await?)
}

/// Runs what is left of the flow, brings its rows to rest, and ends it.
async fn settle(flow: Arc<FlowContext>) -> Result<(), StepFailure> {
    flow.use_own_target().await?;
    if flow.claim().epoch > MOST_CLAIMS {
        return abandon(&flow).await;
    }
    let result = drive(flow.clone())
        .await
        .map_err(|e| StepFailure::because("The flow cannot be run", e.as_ref()))?;
    let (status, outcome) = match result.kind {
        Ok(_) => (FlowStatus::Done, "done".to_owned()),
        Err(end) => {
            let failure = end
                .error_source
                .convert::<StepFailure>()
                .unwrap_or_else(|other| {
                    StepFailure::because(
                        format!("Step {} failed", end.error_node_name.as_ref()),
                        &other,
                    )
                });
            // steno's words for a failed undo are JSON: for the operator only.
            let (stuck_at, cause) = match end.undo_failure {
                Some((step, cause)) => (Some(step.as_ref().to_owned()), format!(": {cause:#}")),
                None => (None, String::new()),
            };
            let left_behind = stuck_at
                .map(|step| format!("step {step} could not be undone"))
                .or_else(|| flow.left_behind());
            let status = if left_behind.is_some() {
                FlowStatus::Stuck
            } else {
                FlowStatus::Unwound
            };
            let outcome = match &left_behind {
                None => failure.operator_message.clone(),
                Some(left) => format!("{}; {left}{cause}", failure.operator_message),
            };
            flows::settle_failed(
                &flow,
                &Settlement {
                    failure,
                    left_behind,
                },
            )
            .await?;
            (status, outcome)
        }
    };
    flow.lease().hold().await;
    flow.db()
        .flow_finish(flow.claim(), status, Some(&outcome))
        .await?;
    info!(%status, "flow ended");
    Ok(())
}

async fn drive(flow: Arc<FlowContext>) -> Result<SagaResult, anyhow::Error> {
    let claim = flow.claim();
    let id: SagaId = claim.flow_id.to_string().parse()?;
    let (dag, registry) = flows::steps_of(claim.request.kind()).build()?;
    let journal = Journal::new(flow.db().clone(), claim.clone(), flow.shared_lease());
    // steno logs to slog; what is worth a line is logged by the steps themselves.
    let sec = steno::sec(
        slog::Logger::root(slog::Discard, slog::o!()),
        Arc::new(journal),
    );
    let result = match flow.db().flow_dag(claim.flow_id).await? {
        None => {
            let result = sec
                .saga_create(id, flow.clone(), dag.clone(), registry)
                .await?;
            inject(&sec, id, &dag, &flow).await?;
            result
        }
        Some(saved) => {
            let events = flow.db().flow_events(claim.flow_id).await?;
            info!(events = events.len(), "flow resumes");
            let events = events.into_iter().map(|recorded| recorded.event).collect();
            resume(&sec, id, flow.clone(), saved, registry, events).await?
        }
    };
    sec.saga_start(id).await?;
    Ok(result.await)
}

async fn resume(
    sec: &SecClient,
    id: SagaId,
    flow: Arc<FlowContext>,
    dag: serde_json::Value,
    registry: Arc<ActionRegistry<FlowSaga>>,
    events: Vec<serde_json::Value>,
) -> Result<futures::future::BoxFuture<'static, SagaResult>, anyhow::Error> {
    let events = events
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<Vec<SagaNodeEvent>, _>>()?;
    sec.saga_resume(id, flow, dag, registry, events).await
}

async fn inject(
    sec: &SecClient,
    id: SagaId,
    dag: &SagaDag,
    flow: &FlowContext,
) -> Result<(), anyhow::Error> {
    let kind = flow.claim().request.kind();
    for fault in flow
        .services()
        .faults
        .iter()
        .filter(|fault| fault.flow == kind)
    {
        let node = dag.get_index(&fault.step)?;
        match fault.effect {
            Effect::Fail => sec.saga_inject_error(id, node).await?,
            Effect::Repeat => {
                let twice = NonZeroU32::MIN.saturating_add(1);
                sec.saga_inject_repeat(
                    id,
                    node,
                    RepeatInjected {
                        action: twice,
                        undo: twice,
                    },
                )
                .await?;
            }
        }
    }
    Ok(())
}
