//! From what was given to what a login needs: options first, then the named cloud, then defaults.

use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::clouds;
use super::error::LoginError;
use super::keystone::{Domain, Identity, Project, User};
use super::options::CloudOptions;

/// Everything that a login needs to know.
pub(crate) struct Config {
    /// Of Keystone, with its version.
    pub(crate) auth_url: Url,
    pub(crate) identity: Identity,
    pub(crate) project: Option<Project>,
    pub(crate) interface: String,
    pub(crate) region: Option<String>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) is_insecure: bool,
}

/// Reads it all together.
pub(crate) fn config(options: &CloudOptions<'_>) -> Result<Config, LoginError> {
    let cloud = options
        .cloud()
        .map(clouds::cloud)
        .transpose()?
        .unwrap_or_default();
    let given = Given { options, cloud };
    let auth_url = given
        .auth("os-auth-url", "auth_url")
        .ok_or(LoginError::NoCloud)?;
    Ok(Config {
        auth_url: versioned(&auth_url).ok_or(LoginError::BadAuthUrl(auth_url))?,
        identity: given.identity()?,
        project: given.project(),
        interface: interface(given.outer("os-interface", "interface").as_deref()),
        region: given.outer("os-region-name", "region_name"),
        cacert: given.outer("os-cacert", "cacert").map(PathBuf::from),
        is_insecure: given.is_insecure(),
    })
}

struct Given<'a> {
    options: &'a CloudOptions<'a>,
    cloud: Value,
}

impl Given<'_> {
    /// An option, or a member of the cloud itself.
    fn outer(&self, option: &str, key: &str) -> Option<String> {
        self.options
            .get(option)
            .or_else(|| text(self.cloud.get(key)))
    }

    /// An option, or a member of the cloud's `auth`.
    fn auth(&self, option: &str, key: &str) -> Option<String> {
        let auth = || self.cloud.get("auth").and_then(|auth| auth.get(key));
        self.options.get(option).or_else(|| text(auth()))
    }

    fn secret(&self, option: &str, key: &str) -> Option<SecretString> {
        self.auth(option, key).map(SecretString::from)
    }

    fn is_insecure(&self) -> bool {
        let verify = self.cloud.get("verify").and_then(Value::as_bool);
        self.options.insecure() || verify == Some(false)
    }

    fn domain(&self, kind: &str) -> Domain {
        let name = self.auth(
            &format!("os-{kind}-domain-name"),
            &format!("{kind}_domain_name"),
        );
        let id = self.auth(
            &format!("os-{kind}-domain-id"),
            &format!("{kind}_domain_id"),
        );
        match (id, name) {
            (Some(id), _) => Domain::Id(id),
            (None, Some(name)) => Domain::Name(name),
            // The domain that Keystone makes at its installation.
            (None, None) => Domain::Id("default".to_owned()),
        }
    }

    fn project(&self) -> Option<Project> {
        match self.auth("os-project-id", "project_id") {
            Some(id) => Some(Project::Id(id)),
            None => self
                .auth("os-project-name", "project_name")
                .map(|name| Project::Name(name, self.domain("project"))),
        }
    }

    fn user(&self) -> Option<User> {
        match self.auth("os-user-id", "user_id") {
            Some(id) => Some(User::Id(id)),
            None => self
                .auth("os-username", "username")
                .map(|name| User::Name(name, self.domain("user"))),
        }
    }

    /// By the login method that is named, else by what is given.
    fn identity(&self) -> Result<Identity, LoginError> {
        let named = self.outer("os-auth-type", "auth_type").unwrap_or_default();
        let method = named.to_lowercase().replace('_', "");
        match method.strip_prefix("v3").unwrap_or(&method) {
            "password" => self.password(),
            "token" => self.token(),
            "applicationcredential" => self.application_credential(),
            "" if self.auth(SECRET.0, SECRET.1).is_some() => self.application_credential(),
            "" if self.auth(PASSWORD.0, PASSWORD.1).is_none() => {
                self.token().or_else(|_| self.password())
            }
            "" => self.password(),
            _ => Err(LoginError::UnknownMethod(named)),
        }
    }

    fn password(&self) -> Result<Identity, LoginError> {
        let user = self
            .user()
            .ok_or(LoginError::Missing("the user's name (OS_USERNAME)"))?;
        let password = self
            .secret(PASSWORD.0, PASSWORD.1)
            .ok_or(LoginError::Missing("the password (OS_PASSWORD)"))?;
        Ok(Identity::Password { user, password })
    }

    fn token(&self) -> Result<Identity, LoginError> {
        let token = self.secret("os-token", "token");
        token
            .map(Identity::Token)
            .ok_or(LoginError::Missing("the token (OS_TOKEN)"))
    }

    fn application_credential(&self) -> Result<Identity, LoginError> {
        const ID: &str = "os-application-credential-id";
        const NAME: &str = "os-application-credential-name";
        let secret = self.secret(SECRET.0, SECRET.1).ok_or(LoginError::Missing(
            "the application credential's secret (OS_APPLICATION_CREDENTIAL_SECRET)",
        ))?;
        if let Some(id) = self.auth(ID, "application_credential_id") {
            return Ok(Identity::ApplicationCredential { id, secret });
        }
        let name = self
            .auth(NAME, "application_credential_name")
            .ok_or(LoginError::Missing(
                "the application credential's ID (OS_APPLICATION_CREDENTIAL_ID)",
            ))?;
        let user = self.user().ok_or(LoginError::Missing(
            "the user whose application credential it is",
        ))?;
        Ok(Identity::NamedApplicationCredential { name, user, secret })
    }
}

const PASSWORD: (&str, &str) = ("os-password", "password");
const SECRET: (&str, &str) = (
    "os-application-credential-secret",
    "application_credential_secret",
);

/// YAML reads a password of digits as a number.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `publicURL` is how the oldest clients spell `public`.
fn interface(given: Option<&str>) -> String {
    let given = given.unwrap_or("public");
    given.strip_suffix("URL").unwrap_or(given).to_owned()
}

/// Keystone's URL with `/v3`, whether it was given with a version or not.
fn versioned(given: &str) -> Option<Url> {
    let mut url = Url::parse(given)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let path = url.path().trim_end_matches('/');
    let path = path
        .strip_suffix("/v3")
        .or_else(|| path.strip_suffix("/v2.0"))
        .unwrap_or(path);
    let path = format!("{path}/v3");
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_may_be_spelt_as_the_old_clients_do() {
        assert_eq!(interface(None), "public");
        assert_eq!(interface(Some("internalURL")), "internal");
        assert_eq!(interface(Some("admin")), "admin");
    }

    #[test]
    fn keystones_url_gets_its_version() {
        for (given, wanted) in [
            ("http://h:5000", "http://h:5000/v3"),
            ("http://h:5000/v3/", "http://h:5000/v3"),
            ("https://h/identity", "https://h/identity/v3"),
            ("https://h/identity/v2.0", "https://h/identity/v3"),
        ] {
            assert_eq!(versioned(given).unwrap().as_str(), wanted);
        }
        assert!(versioned("h:5000").is_none());
        assert!(versioned("").is_none());
    }
}
