//! Who works on a flow: claims, their renewal and their end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowId, FlowStatus};

use super::hold;
use crate::column::{Row, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::end;
use crate::schema::flows;
use crate::{Datastore, Error};

/// How many flows are looked at in one go; those that others claim meanwhile are passed over.
const CANDIDATES: i64 = 32;

/// Id, request, epoch, project: what a claim is made of.
type Candidate = (String, String, i64, String);

impl Datastore {
    /// Claims the oldest running flow that nobody holds, or whose holder let its lease run out.
    /// `None`: there is nothing to do. Of several who ask at once, one gets it.
    ///
    /// A request that this release cannot read is passed over: a newer engine may know it.
    pub async fn flow_claim_next(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<FlowClaim>, Error> {
        let holder = holder.to_owned();
        let candidates = self.read_claimable().await?;
        for (id, request, epoch, project_id) in candidates {
            let Some(claim) = readable(&id, &request, epoch, &project_id) else {
                continue;
            };
            let (holder, wanted) = (holder.clone(), claim.clone());
            let is_ours = self
                .write("claim a flow", move |connection, now| {
                    take(connection, &wanted, &holder, lease, now)
                })
                .await?;
            if is_ours {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// Keeps the claim for `lease` from now. `Fenced`: stop at once, another engine has the flow.
    pub async fn flow_renew(&self, claim: &FlowClaim, lease: Duration) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("renew a claim", move |connection, now| {
            hold(connection, &claim, now)?;
            diesel::update(flows::table.find(claim.flow_id.to_string()))
                .set(flows::lease_expires_at.eq(end(now, lease)))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// Gives the flow back unfinished: the next who asks gets it. The claim is void after this.
    pub async fn flow_release(&self, claim: &FlowClaim) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("release a claim", move |connection, now| {
            hold(connection, &claim, now)?;
            let_go(connection, claim.flow_id)
        })
        .await
    }

    /// Ends the flow; nobody claims it again and the claim is void. `outcome` is for operators.
    pub async fn flow_finish(
        &self,
        claim: &FlowClaim,
        status: FlowStatus,
        outcome: Option<&str>,
    ) -> Result<(), Error> {
        let (claim, outcome) = (claim.clone(), outcome.map(ToOwned::to_owned));
        self.write("finish a flow", move |connection, now| {
            hold(connection, &claim, now)?;
            diesel::update(flows::table.find(claim.flow_id.to_string()))
                .set((
                    flows::status.eq(status.as_str()),
                    flows::outcome.eq(outcome.as_deref()),
                ))
                .execute(connection)?;
            let_go(connection, claim.flow_id)
        })
        .await
    }

    async fn read_claimable(&self) -> Result<Vec<Candidate>, Error> {
        let now = to_moment(self.now());
        self.read("look for flows to claim", move |connection| {
            Ok(flows::table
                .filter(flows::status.eq(FlowStatus::Running.as_str()))
                .filter(
                    flows::lease_holder
                        .is_null()
                        .or(flows::lease_expires_at.le(now)),
                )
                .order((flows::created_at, flows::id))
                .limit(CANDIDATES)
                .select((flows::id, flows::request, flows::epoch, flows::project_id))
                .load(connection)?)
        })
        .await
    }
}

/// The claim as it will be once it is taken.
fn readable(id: &str, request: &str, epoch: i64, project_id: &str) -> Option<FlowClaim> {
    let row = Row { what: "flow", id };
    let claim = || -> Result<FlowClaim, Error> {
        Ok(FlowClaim {
            flow_id: row.parse(id)?,
            epoch: epoch + 1,
            request: row.json(request)?,
            project_id: row.parse(project_id)?,
        })
    };
    claim()
        .inspect_err(|error| {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(flow_id = id, cause, "a flow was passed over: {error}");
        })
        .ok()
}

/// Compare-and-set on the epoch: whoever was faster has raised it.
fn take(
    connection: &mut AnyConnection,
    claim: &FlowClaim,
    holder: &str,
    lease: Duration,
    now: DateTime<Utc>,
) -> Result<bool, Stop> {
    let taken = diesel::update(flows::table.find(claim.flow_id.to_string()))
        .filter(flows::epoch.eq(claim.epoch - 1))
        .filter(flows::status.eq(FlowStatus::Running.as_str()))
        .filter(
            flows::lease_holder
                .is_null()
                .or(flows::lease_expires_at.le(to_moment(now))),
        )
        .set((
            flows::lease_holder.eq(holder),
            flows::lease_expires_at.eq(end(now, lease)),
            flows::epoch.eq(claim.epoch),
            flows::attempt_count.eq(flows::attempt_count + 1),
            flows::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(taken == 1)
}

fn let_go(connection: &mut AnyConnection, flow_id: FlowId) -> Result<(), Stop> {
    diesel::update(flows::table.find(flow_id.to_string()))
        .set((
            flows::lease_holder.eq(None::<String>),
            flows::lease_expires_at.eq(None::<chrono::NaiveDateTime>),
        ))
        .execute(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use services_types::FlowRequest;

    use super::*;

    async fn stored(request: &'static str, store: &Datastore) -> FlowId {
        let id = FlowId::random();
        store
            .write("insert a flow", move |connection, now| {
                let project_id = "p".parse().map_err(|_| Error::not_found("project", &"p"))?;
                let workload_id = services_types::WorkloadId::random();
                let delete = FlowRequest::WorkloadDelete { workload_id };
                crate::flow::request(connection, id, &project_id, &delete, now)?;
                if !request.is_empty() {
                    diesel::update(flows::table.find(id.to_string()))
                        .set(flows::request.eq(request))
                        .execute(connection)?;
                }
                Ok(())
            })
            .await
            .unwrap();
        id
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_read_does_not_stop_the_others() {
        let store = Datastore::connect("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        let unreadable = stored(r#"{"kind":"from_the_future"}"#, &store).await;
        let readable = stored("", &store).await;
        let lease = Duration::from_secs(9);
        let claim = store.flow_claim_next("e", lease).await.unwrap().unwrap();
        assert_eq!(claim.flow_id, readable);
        assert_eq!(store.flow_claim_next("e", lease).await.unwrap(), None);
        assert!(matches!(
            store.flow_fetch(unreadable).await,
            Err(Error::Corrupt { .. })
        ));
    }
}
