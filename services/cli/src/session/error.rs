//! Why there is no session. All of them end with the exit status "not reached, not let in".

use std::error::Error;

/// A login that failed; the texts say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("no cloud is chosen: set OS_CLOUD or OS_AUTH_URL, or see workloadmgr --help")]
    NoCloud,
    #[error("clouds.yaml has no cloud named '{0}'")]
    UnknownCloud(String),
    #[error("clouds.yaml could not be read")]
    CloudsFile {
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("Keystone at {url} did not let us in: {reason}")]
    Refused { url: String, reason: String },
    #[error("Keystone at {url} could not be asked")]
    Unreachable {
        url: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the login is not for a project: name one with OS_PROJECT_NAME or OS_PROJECT_ID")]
    NoProject,
    #[error(
        "the service catalog has no service of type workloads \
         (looked for a type or name of {looked_for}); is Backstay registered in this cloud?"
    )]
    NoService { looked_for: String },
    #[error("service '{service}' has no {wanted} endpoint; the catalog has: {known}")]
    NoEndpoint {
        service: String,
        wanted: String,
        known: String,
    },
    #[error("the catalog's URL of the workloads service is not a URL: {0}")]
    BadEndpoint(String),
}
