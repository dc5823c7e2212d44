//! What the configuration file says, typed: see `packaging/etc/appliance.conf` for every key.

use std::time::Duration;

use secrecy::SecretString;
use services_foundation::config::{Config, ConfigError};

const DEFAULT_DATABASE: &str = "sqlite:////var/lib/backstay/backstay.db";

/// All that the scheduler is told.
#[derive(Debug)]
pub struct Settings {
    /// Where the rows are; may hold a password.
    pub database: SecretString,
    /// This node's name, as the list of services shows it.
    pub host: String,
    /// Name and process of this scheduler: who holds the lease.
    pub holder: String,
    /// How often it looks.
    pub poll: Duration,
    /// How long a silent scheduler leads.
    pub lease: Duration,
    /// The target that new backups go to.
    pub target_id: Option<String>,
}

impl Settings {
    /// Reads every key the scheduler knows.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let poll_seconds: u64 = config.get_or("scheduler", "poll_seconds", 10)?;
        let lease_seconds: u64 = config.get_or("scheduler", "lease_seconds", 60)?;
        if poll_seconds == 0 {
            return Err(config.invalid("scheduler", "poll_seconds", "must be 1 or more"));
        }
        if lease_seconds < poll_seconds.saturating_mul(2) {
            let wanted =
                "must be at least twice poll_seconds, or the lease runs out between two looks";
            return Err(config.invalid("scheduler", "lease_seconds", wanted));
        }
        let host = host_name(config)?;
        Ok(Self {
            database: config
                .secret("database", "connection")?
                .unwrap_or_else(|| SecretString::from(DEFAULT_DATABASE)),
            holder: format!("{host}:{}", std::process::id()),
            host,
            poll: Duration::from_secs(poll_seconds),
            lease: Duration::from_secs(lease_seconds),
            target_id: config.get("target", "id")?,
        })
    }
}

/// The node is called the same in every program of ours: the engine's key counts here too.
fn host_name(config: &Config) -> Result<String, ConfigError> {
    if let Some(name) = config.get::<String>("engine", "name")? {
        return Ok(name);
    }
    let name =
        nix::unistd::gethostname().map_err(|source| config.invalid("engine", "name", source))?;
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, ConfigError> {
        let file = ("appliance.conf".into(), text.to_owned());
        Settings::read(&Config::from_texts([file], []).unwrap())
    }

    #[test]
    fn without_a_word_in_the_file_the_defaults_hold() {
        let settings = read("").unwrap();
        assert_eq!(settings.poll.as_secs(), 10);
        assert_eq!(settings.lease.as_secs(), 60);
        assert!(settings.holder.starts_with(&settings.host));
    }

    #[test]
    fn a_lease_that_would_run_out_between_two_looks_is_refused() {
        assert!(read("[scheduler]\npoll_seconds = 10\nlease_seconds = 15\n").is_err());
        assert!(read("[scheduler]\npoll_seconds = 0\n").is_err());
        assert!(read("[scheduler]\npoll_seconds = 2\nlease_seconds = 4\n").is_ok());
    }
}
