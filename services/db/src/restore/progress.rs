//! What the flow that performs a restore tells on the way.

use diesel::prelude::*;
use services_types::{FlowClaim, RestoreStatus};

use super::read::status_of;
use crate::column::{to_count, to_moment};
use crate::flow::{hold, restore_of};
use crate::schema::restores;
use crate::{Conflict, Datastore, Error, Progress};

impl Datastore {
    /// From `creating` to `restoring`, by this node. Twice is once.
    pub async fn restore_begin(&self, claim: &FlowClaim, host: &str) -> Result<(), Error> {
        let (claim, host) = (claim.clone(), host.to_owned());
        self.write("begin a restore", move |connection, now| {
            let (id, _) = restore_of(&claim)?;
            hold(connection, &claim, now)?;
            let (from, _) = status_of(connection, id)?;
            is_due(from, RestoreStatus::Restoring)?;
            diesel::update(restores::table.find(id.to_string()))
                .set((
                    restores::status.eq(RestoreStatus::Restoring.as_str()),
                    restores::host.eq(&host),
                    restores::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// How far it is.
    pub async fn restore_set_progress(
        &self,
        claim: &FlowClaim,
        progress: Progress,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("note how far a restore is", move |connection, now| {
            let (id, _) = restore_of(&claim)?;
            hold(connection, &claim, now)?;
            diesel::update(restores::table.find(id.to_string()))
                .set((
                    restores::progress_percent.eq(i32::from(progress.percent)),
                    restores::progress_msg.eq(&progress.message),
                    restores::size.eq(to_count(progress.size_bytes)),
                    restores::uploaded_size.eq(to_count(progress.uploaded_bytes)),
                    restores::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}

/// Whether there is anything to do to get there: steps run twice. Refuses an illegal way.
pub(super) fn is_due(from: RestoreStatus, to: RestoreStatus) -> Result<bool, Conflict> {
    if from == to {
        Ok(false)
    } else if from.can_become(to) {
        Ok(true)
    } else {
        Err(Conflict::Transition {
            what: "restore",
            from: from.as_str(),
            to: to.as_str(),
        })
    }
}
