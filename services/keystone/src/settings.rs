//! Where Keystone is and who we are.

use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use url::Url;

/// Which of a service's endpoints to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// Inside the cloud.
    Internal,
    /// For operators.
    Admin,
}

impl Interface {
    /// The catalog's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// A word that names no interface.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no endpoint interface: public, internal or admin")]
pub struct UnknownInterface(String);

impl FromStr for Interface {
    type Err = UnknownInterface;

    /// Also with `URL` at the end, as older configuration files have it.
    fn from_str(text: &str) -> Result<Self, UnknownInterface> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "public" => Ok(Self::Public),
            "internal" => Ok(Self::Internal),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownInterface(text.to_owned())),
        }
    }
}

/// Where Keystone is and who we are: a service user, or the user of a command.
#[derive(Clone, Debug)]
pub struct KeystoneSettings {
    /// With or without `/v3` at its end.
    pub auth_url: Url,
    /// By name.
    pub username: String,
    /// Never logged.
    pub password: SecretString,
    /// The user's domain.
    pub user_domain_name: String,
    /// The project to act in.
    pub project_name: String,
    /// The project's domain.
    pub project_domain_name: String,
    /// `None`: whatever the catalog has first.
    pub region_name: Option<String>,
    /// Which endpoints to use; Keystone itself is always used at `auth_url`.
    pub interface: Interface,
    /// Certificates to trust beside the system's.
    pub cafile: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl KeystoneSettings {
    /// The root of the v3 API, without a slash at its end.
    pub(crate) fn identity_url(&self) -> Url {
        let mut url = self.auth_url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        if path.ends_with("/v3") {
            url.set_path(&path);
        } else {
            url.set_path(&format!("{path}/v3"));
        }
        url
    }
}
