//! Ways out of the engine, as the configuration names them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_contract::{DatamoverClient, HttpDatamover, TokenSource};
use async_trait::async_trait;
use secrecy::SecretString;
use services_keystone::{Keystone, KeystoneSettings, Service, Session};
use services_openstack::{Cloud, CloudError, connect_service, connect_tenant};
use services_types::TrustId;

use crate::context::Connections;

/// Connections by way of Keystone: each call logs in anew, in the runtime that calls.
pub struct KeystoneConnections {
    settings: KeystoneSettings,
}

impl KeystoneConnections {
    /// With our service user.
    pub fn new(settings: KeystoneSettings) -> Self {
        Self { settings }
    }

    fn keystone(&self) -> Result<Keystone, CloudError> {
        Ok(Keystone::new(self.settings.clone())?)
    }
}

#[async_trait]
impl Connections for KeystoneConnections {
    async fn tenant(&self, trust_id: &TrustId) -> Result<Arc<dyn Cloud>, CloudError> {
        connect_tenant(&self.keystone()?, trust_id).await
    }

    async fn service(&self) -> Result<Arc<dyn Cloud>, CloudError> {
        connect_service(&self.keystone()?).await
    }

    async fn datamover(&self) -> Result<Arc<dyn DatamoverClient>, CloudError> {
        let keystone = self.keystone()?;
        let session = keystone.service_session();
        let base = session.endpoint(Service::Other("datamover")).await?;
        Ok(Arc::new(HttpDatamover::new(
            keystone.http(),
            base,
            Arc::new(SessionTokens {
                keystone,
                session: Mutex::new(session),
            }),
        )))
    }
}

struct SessionTokens {
    keystone: Keystone,
    session: Mutex<Session>,
}

impl SessionTokens {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenSource for SessionTokens {
    async fn token(&self) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> {
        let session = self.session().clone();
        Ok(session.token().await?)
    }

    async fn renewed_token(
        &self,
    ) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> {
        let session = self.keystone.service_session();
        let token = session.token().await?;
        *self.session() = session;
        Ok(token)
    }
}
