//! Why there is no session. All of them end with the exit status "not reached, not let in".

use std::error::Error;
use std::path::PathBuf;

/// A login that failed; the texts say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("no cloud is chosen: set OS_CLOUD or OS_AUTH_URL, or see workloadmgr --help")]
    NoCloud,
    #[error("clouds.yaml has no cloud named '{0}'")]
    UnknownCloud(String),
    #[error("{} could not be read", path.display())]
    CloudsFile {
        path: PathBuf,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("'{0}' is no URL of Keystone: http://HOST:5000/v3 is wanted")]
    BadAuthUrl(String),
    #[error("the login method {0} is not supported: password, token or v3applicationcredential is")]
    UnknownMethod(String),
    #[error("the login lacks {0}")]
    Missing(&'static str),
    #[error("the certificates of {} could not be read", path.display())]
    Certificates {
        path: PathBuf,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("HTTPS could not be set up")]
    Http { source: reqwest::Error },
    #[error("Keystone at {url} did not let us in: {reason}")]
    Refused { url: String, reason: String },
    #[error("Keystone at {url} could not be asked")]
    Unreachable {
        url: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("what answers at {0} is not Keystone v3")]
    NotKeystone(String),
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
