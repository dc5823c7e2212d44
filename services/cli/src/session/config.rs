//! From what was given to the configuration that the SDK logs in with.

use openstack_sdk::config::{Auth, CloudConfig, ConfigFile};
use secrecy::SecretString;

use super::error::LoginError;
use super::options::CloudOptions;

/// The domain that Keystone makes at its installation.
const DEFAULT_DOMAIN: &str = "default";

/// Options first, then the named cloud, then defaults.
pub(crate) fn cloud_config(options: &CloudOptions<'_>) -> Result<CloudConfig, LoginError> {
    let mut config = given(options);
    if let Some(name) = options.cloud() {
        let file = ConfigFile::new().map_err(|source| LoginError::CloudsFile {
            source: Box::new(source),
        })?;
        let cloud = file
            .get_cloud_config(name)
            .map_err(|source| LoginError::CloudsFile {
                source: Box::new(source),
            })?
            .ok_or_else(|| LoginError::UnknownCloud(name.to_owned()))?;
        config.update(&cloud);
        config.name = Some(name.to_owned());
    }
    complete(&mut config);
    if auth(&mut config).auth_url.is_none() {
        return Err(LoginError::NoCloud);
    }
    Ok(config)
}

fn given(options: &CloudOptions<'_>) -> CloudConfig {
    let secret = |name| options.get(name).map(SecretString::from);
    CloudConfig {
        auth: Some(Auth {
            auth_url: options.get("os-auth-url"),
            username: options.get("os-username"),
            user_id: options.get("os-user-id"),
            password: secret("os-password"),
            user_domain_name: options.get("os-user-domain-name"),
            user_domain_id: options.get("os-user-domain-id"),
            project_name: options.get("os-project-name"),
            project_id: options.get("os-project-id"),
            project_domain_name: options.get("os-project-domain-name"),
            project_domain_id: options.get("os-project-domain-id"),
            token: secret("os-token"),
            application_credential_id: options.get("os-application-credential-id"),
            application_credential_name: options.get("os-application-credential-name"),
            application_credential_secret: secret("os-application-credential-secret"),
            ..Auth::default()
        }),
        auth_type: options.get("os-auth-type"),
        interface: options.get("os-interface"),
        region_name: options.get("os-region-name"),
        cacert: options.get("os-cacert"),
        verify: options.insecure().map(|insecure| !insecure),
        ..CloudConfig::default()
    }
}

/// What every OpenStack client assumes where nothing was said.
fn complete(config: &mut CloudConfig) {
    config.interface = Some(interface(config.interface.as_deref()));
    let given = config.auth_type.take();
    let auth = auth(config);
    let auth_type = auth_type(given.as_deref(), auth);
    if auth.user_domain_id.is_none() && auth.user_domain_name.is_none() {
        auth.user_domain_id = Some(DEFAULT_DOMAIN.to_owned());
    }
    if auth.project_name.is_some()
        && auth.project_domain_id.is_none()
        && auth.project_domain_name.is_none()
    {
        auth.project_domain_id = Some(DEFAULT_DOMAIN.to_owned());
    }
    config.auth_type = Some(auth_type);
}

fn auth(config: &mut CloudConfig) -> &mut Auth {
    config.auth.get_or_insert_with(Auth::default)
}

/// `publicURL` is how the oldest clients spell `public`.
fn interface(given: Option<&str>) -> String {
    let given = given.unwrap_or("public");
    given.strip_suffix("URL").unwrap_or(given).to_owned()
}

/// The SDK knows fewer spellings than keystoneauth.
fn auth_type(given: Option<&str>, auth: &Auth) -> String {
    let by_what_is_given = if auth.application_credential_secret.is_some() {
        "v3applicationcredential"
    } else if auth.token.is_some() && auth.password.is_none() {
        "v3token"
    } else {
        "v3password"
    };
    match given
        .map(|name| name.replace('_', "").to_lowercase())
        .as_deref()
    {
        None | Some("") => by_what_is_given.to_owned(),
        Some("token" | "v3token") => "v3token".to_owned(),
        Some("password" | "v3password") => "v3password".to_owned(),
        Some("applicationcredential" | "v3applicationcredential") => {
            "v3applicationcredential".to_owned()
        }
        Some(other) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_method_follows_from_what_is_given() {
        let token = Auth {
            token: Some("t".into()),
            ..Auth::default()
        };
        let credential = Auth {
            application_credential_secret: Some("s".into()),
            ..Auth::default()
        };
        assert_eq!(auth_type(None, &Auth::default()), "v3password");
        assert_eq!(auth_type(None, &token), "v3token");
        assert_eq!(auth_type(None, &credential), "v3applicationcredential");
        assert_eq!(
            auth_type(Some("v3_application_credential"), &token),
            "v3applicationcredential"
        );
        assert_eq!(auth_type(Some("v3totp"), &token), "v3totp");
    }

    #[test]
    fn interfaces_may_be_spelt_as_the_old_clients_do() {
        assert_eq!(interface(None), "public");
        assert_eq!(interface(Some("internalURL")), "internal");
        assert_eq!(interface(Some("admin")), "admin");
    }
}
