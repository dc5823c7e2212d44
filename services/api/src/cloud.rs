//! The cloud, as the caller sees it: with their own token, so that Nova decides what they may do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use services_db::Member;
use services_keystone::{Keystone, RetryPolicy};
use services_openstack::{Cloud, CloudErrorKind};
use services_types::WorkloadId;

use crate::access::Access;
use crate::error::ApiError;

/// Metadata of a protected server: whose member it is.
const WORKLOAD_ID: &str = "workload_id";
/// The same by name, for people.
const WORKLOAD_NAME: &str = "workload_name";
/// Nova's limit for a metadata value.
const LONGEST_METADATA: usize = 255;

/// Somebody waits for the answer.
const PATIENCE: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(200),
    longest_delay: Duration::from_secs(2),
    overall: Duration::from_secs(10),
};

/// Acts with the caller's token, in the token's project.
pub(crate) async fn as_caller(
    keystone: &Keystone,
    access: &Access,
) -> Result<Arc<dyn Cloud>, ApiError> {
    let session = keystone.token_session(access.caller.token.clone());
    Ok(services_openstack::connect(session, PATIENCE).await?)
}

/// Writes on servers which workload protects them. One that is gone stays a member without a label:
/// its backups are still there to be restored.
pub(crate) async fn label(
    cloud: &dyn Cloud,
    servers: &[Member],
    workload_id: WorkloadId,
    name: &str,
) -> Result<(), ApiError> {
    let labels = BTreeMap::from([
        (WORKLOAD_ID.to_owned(), workload_id.to_string()),
        (
            WORKLOAD_NAME.to_owned(),
            name.chars().take(LONGEST_METADATA).collect(),
        ),
    ]);
    for server in servers {
        match cloud
            .compute()
            .server_metadata_set(&server.server_id, &labels)
            .await
        {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
    }
    Ok(())
}

/// Takes the labels off servers that left a workload; a server that is gone needs none.
pub(crate) async fn unlabel(cloud: &dyn Cloud, servers: &[Member]) -> Result<(), ApiError> {
    for server in servers {
        for key in [WORKLOAD_ID, WORKLOAD_NAME] {
            match cloud
                .compute()
                .server_metadata_remove(&server.server_id, key)
                .await
            {
                Err(error) if error.kind() != CloudErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}
