//! A service's refusal, by what the caller can do about it.

use services_keystone::{Answer, KeystoneError, KeystoneErrorKind, Service};

use crate::{CloudError, CloudErrorKind as Kind};

/// What a service that does not say "yes" means.
pub(crate) fn refused(service: Service, operation: &str, answer: &Answer) -> CloudError {
    let (fault_type, message) = answer.fault();
    let kind = kind_of(service, answer.status(), fault_type.as_deref(), &message);
    CloudError::new(kind, operation, format!("{message} ({})", answer.status()))
        .with_request_id(answer.request_id().map(str::to_owned))
}

fn kind_of(service: Service, status: u16, fault_type: Option<&str>, message: &str) -> Kind {
    match status {
        // Neutron says "conflict" and names the fault; Nova says "forbidden" and only words tell.
        409 if fault_type == Some("OverQuota") => Kind::OverQuota,
        403 if service == Service::Compute && message.to_ascii_lowercase().contains("quota") => {
            Kind::OverQuota
        }
        413 => Kind::OverQuota,
        // Cinder calls a state that forbids the request a bad request.
        400 if service == Service::BlockStorage && is_wrong_state(message) => Kind::Conflict,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 | 410 => Kind::NotFound,
        409 => Kind::Conflict,
        408 | 429 | 500..=599 => Kind::Transient,
        400..=499 => Kind::Invalid,
        _ => Kind::Broken,
    }
}

fn is_wrong_state(message: &str) -> bool {
    ["Invalid volume", "Invalid snapshot", "Invalid status"]
        .iter()
        .any(|start| message.starts_with(start))
}

/// Without a log-in no service is asked at all.
impl From<KeystoneError> for CloudError {
    fn from(error: KeystoneError) -> Self {
        unanswered("log in to OpenStack", error)
    }
}

/// No answer at all.
pub(crate) fn unanswered(operation: &str, error: KeystoneError) -> CloudError {
    let kind = match error.kind() {
        KeystoneErrorKind::Unreachable => Kind::Transient,
        KeystoneErrorKind::Unauthorized | KeystoneErrorKind::TrustLost => Kind::Unauthorized,
        KeystoneErrorKind::Forbidden => Kind::Forbidden,
        KeystoneErrorKind::NotFound | KeystoneErrorKind::Broken => Kind::Broken,
    };
    CloudError::new(kind, operation, error.message().to_owned()).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_recognised_in_each_services_words() {
        let cases = [
            (
                Service::BlockStorage,
                413,
                None,
                "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded",
            ),
            (
                Service::Compute,
                403,
                None,
                "Quota exceeded for cores: Requested 1, but already used 20 of 20 cores",
            ),
            (
                Service::Network,
                409,
                Some("OverQuota"),
                "Quota exceeded for resources: ['port'].",
            ),
        ];
        for (service, status, fault_type, message) in cases {
            assert_eq!(
                kind_of(service, status, fault_type, message),
                Kind::OverQuota,
                "{message}"
            );
        }
    }

    #[test]
    fn what_the_state_forbids_is_a_conflict_and_not_our_mistake() {
        let message = "Invalid volume: Volume status must be available or error or ...";
        assert_eq!(
            kind_of(Service::BlockStorage, 400, None, message),
            Kind::Conflict
        );
        assert_eq!(
            kind_of(Service::BlockStorage, 400, None, "Invalid input received"),
            Kind::Invalid
        );
        assert_eq!(
            kind_of(Service::Compute, 409, None, "task_state deleting"),
            Kind::Conflict
        );
    }

    #[test]
    fn a_service_in_trouble_is_transient() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(
                kind_of(Service::Network, status, None, ""),
                Kind::Transient,
                "{status}"
            );
        }
        assert_eq!(
            kind_of(Service::Compute, 403, None, "Policy doesn't allow it"),
            Kind::Forbidden
        );
        assert_eq!(kind_of(Service::Compute, 302, None, ""), Kind::Broken);
    }
}
