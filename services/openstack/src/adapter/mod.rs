//! The ports over REST: to a real cloud, or to the fake one.
//!
//! Every call goes through [`Client`](client::Client), which retries what is safe to retry and turns
//! refusals into [`CloudError`]. A file a service: its requests, and beside it (`*_wire`) the shapes
//! that it answers with.

mod block_storage;
mod block_storage_wire;
mod client;
mod compute;
mod compute_wire;
mod images;
mod network;
mod network_wire;
mod refusal;
mod security_groups;

use std::sync::Arc;

use services_keystone::{Keystone, RetryPolicy, Session};
use services_types::TrustId;

use crate::{BlockStorage, Cloud, CloudError, Compute, Images, Network};
use client::Client;

/// All ports on one session.
struct RestCloud {
    client: Client,
}

impl Cloud for RestCloud {
    fn compute(&self) -> &dyn Compute {
        self
    }

    fn block_storage(&self) -> &dyn BlockStorage {
        self
    }

    fn network(&self) -> &dyn Network {
        self
    }

    fn images(&self) -> &dyn Images {
        self
    }
}

/// Acts as the trustor of a trust. Logs in at once, so that a lost trust shows here (`Unauthorized`,
/// with the [`KeystoneError`](services_keystone::KeystoneError) as its source).
pub async fn connect_tenant(
    keystone: &Keystone,
    trust_id: &TrustId,
) -> Result<Arc<dyn Cloud>, CloudError> {
    connect(
        keystone.trust_session(trust_id.as_str()),
        RetryPolicy::default(),
    )
    .await
}

/// Acts as our own service user.
pub async fn connect_service(keystone: &Keystone) -> Result<Arc<dyn Cloud>, CloudError> {
    connect(keystone.service_session(), RetryPolicy::default()).await
}

/// Acts as any session, such as a caller's token, with limits of its own.
pub async fn connect(session: Session, policy: RetryPolicy) -> Result<Arc<dyn Cloud>, CloudError> {
    let client = Client::new(session, policy);
    client.identity().await?;
    Ok(Arc::new(RestCloud { client }))
}
