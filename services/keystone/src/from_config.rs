//! The section `[keystone]`, which stands in every daemon's configuration with the same keys.

use services_foundation::config::{Config, ConfigError};
use url::Url;

use crate::KeystoneSettings;

const SECTION: &str = "keystone";

impl KeystoneSettings {
    /// Reads the section; what a key means and its default: `packaging/etc/appliance.conf`.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let or_default = |key: &str, text: &str| config.get_or(SECTION, key, text.to_owned());
        Ok(Self {
            auth_url: config.require::<Url>(SECTION, "auth_url")?,
            username: config.require(SECTION, "username")?,
            password: config.require_secret(SECTION, "password")?,
            user_domain_name: or_default("user_domain_name", "Default")?,
            project_name: or_default("project_name", "service")?,
            project_domain_name: or_default("project_domain_name", "Default")?,
            region_name: config.get(SECTION, "region_name")?,
            interface: config.get(SECTION, "interface")?.unwrap_or_default(),
            cafile: config.get(SECTION, "cafile")?,
            insecure: config.flag(SECTION, "insecure", false)?,
        })
    }
}
