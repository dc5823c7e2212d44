//! The engine's ways out: to the fake cloud over HTTP, to the datamover in this process.

use std::sync::Arc;

use agent_contract::DatamoverClient;
use async_trait::async_trait;
use services_engine::Connections;
use services_keystone::{Keystone, KeystoneSettings};
use services_openstack::{Cloud, CloudError, connect_service, connect_tenant};
use services_types::TrustId;

pub(crate) struct TestConnections {
    pub(crate) keystone: KeystoneSettings,
    pub(crate) datamover: Arc<dyn DatamoverClient>,
}

#[async_trait]
impl Connections for TestConnections {
    async fn tenant(&self, trust_id: &TrustId) -> Result<Arc<dyn Cloud>, CloudError> {
        connect_tenant(&Keystone::new(self.keystone.clone())?, trust_id).await
    }

    async fn service(&self) -> Result<Arc<dyn Cloud>, CloudError> {
        connect_service(&Keystone::new(self.keystone.clone())?).await
    }

    async fn datamover(&self) -> Result<Arc<dyn DatamoverClient>, CloudError> {
        Ok(self.datamover.clone())
    }
}
