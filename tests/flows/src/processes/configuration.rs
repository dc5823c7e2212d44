//! The configuration files, as an operator writes them (`packaging/etc` has every key).

use std::path::PathBuf;
use std::time::Duration;

/// What all files are made of.
pub(super) struct Configuration {
    pub(super) folder: PathBuf,
    pub(super) volumes: PathBuf,
    pub(super) auth_url: String,
    pub(super) database: String,
    pub(super) transport_url: String,
    /// Of this test's own in the broker.
    pub(super) exchange: String,
    /// The compute host.
    pub(super) host: String,
    pub(super) api_port: u16,
    pub(super) transfer_silence: Duration,
    /// The lines that say where the target is.
    pub(super) target: String,
}

impl Configuration {
    pub(super) fn engine(&self, name: &str) -> String {
        format!(
            "[database]\nconnection = {}\n{}\
             [engine]\nname = {name}\nlease_seconds = 4\nfreeze_deadline_seconds = 5\n\
             transfer_silence_seconds = {}\ncloud_patience_seconds = 30\n\
             [target]\nid = main\n{}",
            self.database,
            self.keystone(),
            self.transfer_silence.as_secs(),
            self.target
        )
    }

    pub(super) fn datamover_api(&self) -> String {
        format!(
            "[api]\nport = {}\n{}{}",
            self.api_port,
            self.messaging(),
            self.keystone()
        )
    }

    pub(super) fn datamover(&self, rate_limit_bytes_per_second: u64) -> String {
        let folder = self.folder.display();
        format!(
            "[DEFAULT]\nhost = {}\nstate_path = {folder}/state\n{}\
             [target:main]\n{}\
             [transfers]\ncheckpoint_seconds = 1\n\
             rate_limit_bytes_per_second = {rate_limit_bytes_per_second}\n\
             [raw]\nallowed_paths = {}\n",
            self.host,
            self.messaging(),
            self.target,
            self.volumes.display()
        )
    }

    fn messaging(&self) -> String {
        format!(
            "[messaging]\ntransport_url = {}\nexchange = {}\n",
            self.transport_url, self.exchange
        )
    }

    /// The fake cloud's service user.
    fn keystone(&self) -> String {
        format!(
            "[keystone]\nauth_url = {}\nusername = backstay\npassword = backstay-password\n\
             region_name = RegionOne\n",
            self.auth_url
        )
    }
}
