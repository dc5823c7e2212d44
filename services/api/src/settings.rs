//! What the configuration file says, typed: see `packaging/etc/appliance.conf` for every key.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use secrecy::SecretString;
use services_foundation::config::{Config, ConfigError};
use services_keystone::KeystoneSettings;

const DEFAULT_PORT: u16 = 8780;
const DEFAULT_MAX_BODY_BYTES: usize = 1024 * 1024;
const DEFAULT_DATABASE: &str = "sqlite:////var/lib/backstay/backstay.db";

/// All that the API is told.
#[derive(Debug)]
pub struct Settings {
    /// Where the rows are; may hold a password.
    pub database: SecretString,
    /// Where Keystone is and who we are.
    pub keystone: KeystoneSettings,
    /// Roles that a tenant hands on to us by a trust, where they have them.
    pub trustee_roles: Vec<String>,
    /// Address to listen on.
    pub listen: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Threads that answer.
    pub workers: NonZeroUsize,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
    /// The target that new backups go to.
    pub target_id: Option<String>,
    /// The operator's policy rules.
    pub policy_file: Option<PathBuf>,
}

impl Settings {
    /// Reads every key the API knows.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let database = config
            .secret("database", "connection")?
            .unwrap_or_else(|| SecretString::from(DEFAULT_DATABASE));
        let trustee_roles = match config.list::<String>("keystone", "trustee_roles")? {
            given if given.is_empty() => vec!["member".to_owned(), "creator".to_owned()],
            given => given,
        };
        let workers = config.get_or("api", "workers", 0)?;
        Ok(Self {
            database,
            keystone: KeystoneSettings::from_config(config)?,
            trustee_roles,
            listen: config.get_or("api", "listen", IpAddr::from([127, 0, 0, 1]))?,
            port: config.get_or("api", "port", DEFAULT_PORT)?,
            workers: NonZeroUsize::new(workers).unwrap_or_else(one_a_core),
            max_body_bytes: config.get_or("api", "max_body_bytes", DEFAULT_MAX_BODY_BYTES)?,
            target_id: config.get("target", "id")?,
            policy_file: config.get("policy", "file")?,
        })
    }
}

fn one_a_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, ConfigError> {
        let needed = "[keystone]\nauth_url = http://keystone:5000\nusername = u\npassword = p\n";
        let files = [needed, text].map(|text| ("appliance.conf".into(), text.to_owned()));
        Settings::read(&Config::from_texts(files, []).unwrap())
    }

    #[test]
    fn without_a_word_in_the_file_the_defaults_hold() {
        let settings = read("").unwrap();
        assert_eq!(
            (settings.listen.to_string().as_str(), settings.port),
            ("127.0.0.1", 8780)
        );
        assert_eq!(settings.trustee_roles, ["member", "creator"]);
        assert_eq!(settings.max_body_bytes, 1024 * 1024);
        assert_eq!(settings.target_id, None);
        assert!(
            !format!("{settings:?}").contains("sqlite:"),
            "it may hold a password"
        );
    }

    #[test]
    fn what_is_set_is_read() {
        let text = "[keystone]\ntrustee_roles = a, b\n[api]\nworkers = 3\nmax_body_bytes = 9\n\
                    [policy]\nfile = /p.yaml\n[target]\nid = main\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.trustee_roles, ["a", "b"]);
        assert_eq!((settings.workers.get(), settings.max_body_bytes), (3, 9));
        assert_eq!(settings.policy_file, Some("/p.yaml".into()));
        assert_eq!(settings.target_id.as_deref(), Some("main"));
    }
}
