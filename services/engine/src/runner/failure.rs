//! Why a step failed, in two voices: what the tenant may read in the row, and what the operator needs.
//! It is written to the flow's log, so that an undo after a restart still knows it.

use serde::{Deserialize, Serialize};
use services_db::Error as DbError;
use services_foundation::error_chain::ErrorChain;
use services_openstack::{CloudError, CloudErrorKind};

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{tenant_message}")]
pub struct StepFailure {
    /// For the tenant: no host names, no paths, no ids but those of their own things.
    pub tenant_message: String,
    /// For the operator: the whole chain of causes.
    pub operator_message: String,
    /// The owner asked for it.
    pub is_cancelled: bool,
    /// Nothing may be undone here and nothing recorded, the flow is resumed from its log: another engine
    /// has it, or the database did not answer, and what it was asked to write may have happened.
    #[serde(skip)]
    pub(crate) gives_up_flow: bool,
    /// An object is not on the target: for callers to whom that is no failure.
    #[serde(skip)]
    pub(crate) is_missing_object: bool,
    /// What lies on the target is damaged: for callers who look for that.
    #[serde(skip)]
    pub(crate) is_damage: bool,
    /// A service was away: the step is run again before this becomes the flow's failure.
    #[serde(skip)]
    pub(crate) is_transient: bool,
}

impl StepFailure {
    /// A failure whose words serve tenant and operator alike.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            tenant_message: message.clone(),
            operator_message: message,
            is_cancelled: false,
            gives_up_flow: false,
            is_missing_object: false,
            is_damage: false,
            is_transient: false,
        }
    }

    /// A failure with the tenant's words, and the cause for the operator.
    pub fn because(
        tenant_message: impl Into<String>,
        cause: &(dyn std::error::Error + 'static),
    ) -> Self {
        let tenant_message = tenant_message.into();
        Self {
            operator_message: format!("{tenant_message}: {}", ErrorChain(cause)),
            tenant_message,
            is_cancelled: false,
            gives_up_flow: false,
            is_missing_object: false,
            is_damage: false,
            is_transient: false,
        }
    }

    /// The owner asked for the flow to stop.
    pub fn cancelled() -> Self {
        Self {
            is_cancelled: true,
            ..Self::new("Cancelled by its owner")
        }
    }
}

impl From<DbError> for StepFailure {
    fn from(error: DbError) -> Self {
        Self {
            gives_up_flow: matches!(error, DbError::Fenced { .. } | DbError::Unavailable { .. }),
            ..Self::because("Backstay's database could not be used", &error)
        }
    }
}

impl From<CloudError> for StepFailure {
    fn from(error: CloudError) -> Self {
        let words = match error.kind() {
            CloudErrorKind::OverQuota => format!("The project's quota is used up: {error}"),
            CloudErrorKind::Unauthorized => format!(
                "OpenStack no longer accepts the trust of the workload's owner: the owner must log in and give a new trust (trust-create), or an administrator must reassign the workload: {error}"
            ),
            CloudErrorKind::Forbidden => {
                format!("OpenStack does not allow it to the workload's owner: {error}")
            }
            _ => format!("OpenStack said no: {error}"),
        };
        Self {
            is_transient: error.is_transient(),
            ..Self::because(words, &error)
        }
    }
}
