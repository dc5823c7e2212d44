use std::time::Duration;

use agent_contract::amqp::{BusClient, BusError};
use agent_contract::{Answer, HostStatus, Question, Refusal, RefusalKind};
use async_trait::async_trait;
use services_foundation::error_chain::ErrorChain;

/// Longer than a host needs for any answer (a guest's freeze takes seconds), shorter than clients wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// The datamovers, as the routes see them.
#[async_trait]
pub trait Hosts: Send + Sync {
    /// All that were heard of.
    fn list(&self) -> Vec<HostStatus>;
    /// They could be asked now.
    fn is_reachable(&self) -> bool;
    /// What one of them answers.
    async fn ask(&self, host: &str, question: &Question) -> Result<Answer, Refusal>;
}

/// The datamovers over RabbitMQ.
pub struct OverBus(pub BusClient);

#[async_trait]
impl Hosts for OverBus {
    fn list(&self) -> Vec<HostStatus> {
        self.0.hosts()
    }

    fn is_reachable(&self) -> bool {
        self.0.is_connected()
    }

    async fn ask(&self, host: &str, question: &Question) -> Result<Answer, Refusal> {
        match self.0.ask(host, question, PATIENCE).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                tracing::warn!(host, "no answer: {}", ErrorChain(&error));
                Err(Refusal::new(
                    self.kind_of(host, &error),
                    ErrorChain(&error).to_string(),
                ))
            }
        }
    }
}

impl OverBus {
    fn kind_of(&self, host: &str, error: &BusError) -> RefusalKind {
        let is_known = || self.list().iter().any(|status| status.host == host);
        match error {
            BusError::Protocol { .. } | BusError::CaFile { .. } => RefusalKind::Internal,
            // A name that was never heard is more likely wrong than away; but after our own start
            // nothing was heard of anybody.
            BusError::NobodyListens { .. } if !self.list().is_empty() && !is_known() => {
                RefusalKind::NotFound
            }
            _ => RefusalKind::Unreachable,
        }
    }
}
