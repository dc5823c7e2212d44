//! What an operator can set for the engine.

use std::time::Duration;

use agent_contract::ImageCompression;
use services_foundation::config::{Config, ConfigError};

/// Read once, at the start.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Name and process of this engine, unique among all engines: who holds a claim.
    pub holder: String,
    /// This node's name, as rows show it.
    pub name: String,
    /// Flows at a time.
    pub workers: usize,
    /// How long a claim is good without renewal: how long a dead engine's flows rest.
    pub lease: Duration,
    /// A guest is never frozen for longer than this.
    pub freeze_deadline: Duration,
    /// Transfers of one flow at a time, over all hosts.
    pub transfers_per_flow: usize,
    /// How long a transfer may show no progress before its flow fails.
    pub transfer_silence: Duration,
    /// How long the cloud may take to make or delete one volume, snapshot or server.
    pub cloud_patience: Duration,
    /// How long the cloud may take to make a volume that holds something: some storages copy all of it.
    pub copy_patience: Duration,
    /// Cinder's drivers (`driver_volume_type`) whose volumes are read from a volume made of the snapshot,
    /// although their snapshots could be read.
    pub copied_drivers: Vec<String>,
    /// What new images do with data clusters.
    pub compression: ImageCompression,
    /// RBD snapshots of Cinder are called this, with the Cinder snapshot's id for `%s`
    /// (Cinder's `snapshot_name_template`).
    pub volume_snapshot_name_template: String,
}

impl EngineSettings {
    /// Reads the sections `[engine]` and `[backups]`; what a key means and its default:
    /// `packaging/etc/appliance.conf`.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let seconds = |key: &str, default: u64| {
            Ok::<_, ConfigError>(Duration::from_secs(config.get_or("engine", key, default)?))
        };
        let name = match config.get::<String>("engine", "name")? {
            Some(name) => name,
            None => host_name(config)?,
        };
        Ok(Self {
            // The process id: a restarted engine does not hold what it held before.
            name: name.clone(),
            holder: format!("{name}:{}", std::process::id()),
            workers: config.get_or("engine", "workers", 4)?,
            lease: seconds("lease_seconds", 60)?,
            freeze_deadline: seconds("freeze_deadline_seconds", 30)?,
            transfers_per_flow: config.get_or("engine", "transfers_per_flow", 8)?,
            transfer_silence: seconds("transfer_silence_seconds", 1200)?,
            cloud_patience: seconds("cloud_patience_seconds", 600)?,
            copy_patience: seconds("copy_patience_seconds", 21_600)?,
            copied_drivers: config.list("engine", "volumes_read_from_a_copy")?,
            compression: compression(config)?,
            volume_snapshot_name_template: config.get_or(
                "engine",
                "volume_snapshot_name_template",
                "snapshot-%s".to_owned(),
            )?,
        })
    }

    /// What Cinder called a snapshot on the storage.
    pub(crate) fn volume_snapshot_name(&self, id: &services_types::VolumeSnapshotId) -> String {
        self.volume_snapshot_name_template
            .replace("%s", id.as_str())
    }
}

fn compression(config: &Config) -> Result<ImageCompression, ConfigError> {
    let word: String = config.get_or("backups", "compression", "zstd".to_owned())?;
    match word.as_str() {
        "zstd" => Ok(ImageCompression::Zstd),
        "zlib" => Ok(ImageCompression::Zlib),
        "none" => Ok(ImageCompression::None),
        _ => Err(config.invalid("backups", "compression", "zstd, zlib or none")),
    }
}

fn host_name(config: &Config) -> Result<String, ConfigError> {
    let unknown = |why: String| config.invalid("engine", "name", why);
    let name = nix::unistd::gethostname()
        .map_err(|e| unknown(format!("not set, and the host does not say its own: {e}")))?;
    name.into_string()
        .map_err(|_| unknown("not set, and the host's own is no text".to_owned()))
}
