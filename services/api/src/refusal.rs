//! Refusals of the layers below, in the words and kinds of the API. The one place where they are
//! translated.

use services_db::{Conflict, Error as DbError};
use services_keystone::{KeystoneError, KeystoneErrorKind};
use services_openstack::{CloudError, CloudErrorKind};

use crate::error::ApiError;

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NotFound { what, id } => not_found(what, &id),
            DbError::Conflict(conflict) => Self::Conflict(sentence(&conflict)),
            error @ DbError::Unavailable { .. } => Self::Unavailable {
                service: "The database",
                source: error.into(),
            },
            error => Self::internal("work with the database", error),
        }
    }
}

/// The contract's words for what is not there.
pub(crate) fn not_found(what: &str, id: &str) -> ApiError {
    let id: String = id.chars().take(64).collect();
    let mut letters = what.chars();
    let what: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    ApiError::NotFound(format!("{what} {id} could not be found."))
}

fn sentence(conflict: &Conflict) -> String {
    match conflict {
        Conflict::ServerClaimed { server_id, .. } => already_attached(server_id),
        Conflict::HasSnapshots { count } => {
            format!("The workload still has {count} snapshots; delete them first.")
        }
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).chain(['.']).collect()
        }
    }
}

/// The contract's words for a server that another workload protects.
pub(crate) fn already_attached(server_id: &impl std::fmt::Display) -> String {
    format!("Invalid instance as {server_id} already attached with other workload")
}

impl From<CloudError> for ApiError {
    fn from(error: CloudError) -> Self {
        let said = error.message().to_owned();
        match error.kind() {
            CloudErrorKind::NotFound => Self::NotFound(said),
            CloudErrorKind::Conflict => Self::Conflict(said),
            CloudErrorKind::OverQuota | CloudErrorKind::Forbidden => Self::Forbidden(said),
            CloudErrorKind::Unauthorized => Self::Unauthorized(said),
            CloudErrorKind::Invalid => Self::BadRequest(said),
            CloudErrorKind::Transient => Self::Unavailable {
                service: "A service of the cloud",
                source: error.into(),
            },
            CloudErrorKind::Broken => Self::internal("ask the cloud", error),
        }
    }
}

impl From<KeystoneError> for ApiError {
    fn from(error: KeystoneError) -> Self {
        let said = error.message().to_owned();
        match error.kind() {
            KeystoneErrorKind::Unreachable => Self::Unavailable {
                service: "Keystone",
                source: error.into(),
            },
            KeystoneErrorKind::Unauthorized => Self::Unauthorized(said),
            KeystoneErrorKind::TrustLost | KeystoneErrorKind::Forbidden => Self::Forbidden(said),
            KeystoneErrorKind::NotFound => Self::NotFound(said),
            KeystoneErrorKind::Broken => Self::internal("ask Keystone", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use services_types::{ServerId, WorkloadId};

    #[test]
    fn what_is_not_there_is_named_in_the_contracts_words() {
        let error = ApiError::from(DbError::NotFound {
            what: "workload type",
            id: "x".to_owned(),
        });
        assert_eq!(error.to_string(), "Workload type x could not be found.");
    }

    #[test]
    fn a_claimed_server_does_not_tell_whose_it_is() {
        let server_id: ServerId = "vm-1".parse().unwrap();
        let workload_id = WorkloadId::random();
        let conflict = Conflict::ServerClaimed {
            server_id,
            workload_id,
        };
        let error = ApiError::from(DbError::Conflict(conflict));
        assert_eq!(
            error.to_string(),
            "Invalid instance as vm-1 already attached with other workload"
        );
    }

    #[test]
    fn a_conflict_is_a_sentence() {
        let error = ApiError::from(DbError::Conflict(Conflict::SnapshotRunning));
        assert_eq!(
            error.to_string(),
            "A snapshot of the workload is already running."
        );
    }
}
