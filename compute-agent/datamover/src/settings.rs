use std::path::PathBuf;
use std::time::Duration;

use agent_contract::amqp::{BusSettings, TransportUrl};
use services_foundation::config::{Config, ConfigError};

/// All that `/etc/backstay/datamover.conf` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's name in Nova.
    pub host: String,
    /// Journals and the plans of transfers.
    pub state_path: PathBuf,
    /// Where we are asked.
    pub bus: BusSettings,
    /// How to reach Ceph.
    pub ceph: CephSettings,
    /// How to reach libvirt.
    pub libvirt_uri: String,
    /// Targets by id.
    pub targets: Vec<TargetSettings>,
    /// How transfers are carried out.
    pub transfers: TransferSettings,
    /// How points in time of servers' disks are taken.
    pub points: PointSettings,
    /// How volumes are connected.
    pub brick: BrickSettings,
    /// Folders whose raw files may be read and written; none unless an operator says so.
    pub raw_allowed_paths: Vec<PathBuf>,
}

/// How to reach Ceph.
#[derive(Clone, Debug, Default)]
pub struct CephSettings {
    /// The cluster's configuration file; none means the tools' default.
    pub conf: Option<PathBuf>,
    /// The user without `client.`; none means the tools' default.
    pub user: Option<String>,
    /// Pools whose images may be read and written; empty means all that the user may.
    pub pools: Vec<String>,
}

/// Where backups are kept.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// What messages call it.
    pub id: String,
    /// Where it is, and how to reach it.
    pub place: agent_target_s3::TargetSettings,
}

/// How transfers are carried out.
#[derive(Clone, Debug)]
pub struct TransferSettings {
    /// Disks that are moved side by side.
    pub workers: usize,
    /// For all of them together; none means as fast as it goes.
    pub rate_limit_bytes_per_second: Option<u64>,
    /// What a crash may make us move again, in time.
    pub checkpoint_interval: Duration,
}

/// How points in time of servers' disks are taken.
#[derive(Clone, Debug)]
pub struct PointSettings {
    /// Where QEMU keeps what running guests overwrite; both its user and ours must reach it.
    pub path: PathBuf,
    /// No backup of a running guest begins with less room there; at half of it they are ended.
    pub scratch_min_free_bytes: u64,
    /// A point that nobody ended is ended after this time.
    pub expiry: Duration,
}

/// How volumes are connected.
#[derive(Clone, Debug)]
pub struct BrickSettings {
    /// The program that calls os-brick, and its arguments.
    pub command: Vec<String>,
    /// Until it must have done its work.
    pub timeout: Duration,
    /// Where shares are mounted.
    pub mount_path: PathBuf,
    /// All paths to a volume are used.
    pub use_multipath: bool,
    /// The host's address as storages are told; none: that of its default route.
    pub my_ip: Option<String>,
    /// What os-brick starts its privileged daemon with.
    pub root_helper: String,
    /// oslo's configuration for it; none: its defaults.
    pub config_file: Option<PathBuf>,
}

impl BrickSettings {
    fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let section = "brick";
        let command: String = config.get_or(section, "command", "backstay-brick".to_owned())?;
        let command: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if command.is_empty() {
            return Err(config.invalid(section, "command", "no program is named"));
        }
        let mount_path = PathBuf::from("/var/lib/backstay/mnt");
        let root_helper = "sudo nova-rootwrap /etc/nova/rootwrap.conf".to_owned();
        let config_file = PathBuf::from("/etc/nova/nova.conf");
        let seconds = config.get_or(section, "timeout_seconds", 300)?;
        Ok(Self {
            command,
            timeout: Duration::from_secs(seconds),
            mount_path: config.get_or(section, "mount_path", mount_path)?,
            use_multipath: config.get_or(section, "use_multipath", false)?,
            my_ip: config.get(section, "my_ip")?,
            root_helper: config.get_or(section, "root_helper", root_helper)?,
            config_file: Some(config.get_or(section, "config_file", config_file)?)
                .filter(|path| !path.as_os_str().is_empty()),
        })
    }
}

impl PointSettings {
    fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let section = "points";
        let path = PathBuf::from("/var/lib/backstay/points");
        let seconds = config.get_or(section, "expiry_seconds", 24 * 3600)?;
        Ok(Self {
            path: config.get_or(section, "path", path)?,
            scratch_min_free_bytes: config.get_or(section, "scratch_min_free_bytes", 4 << 30)?,
            expiry: Duration::from_secs(seconds),
        })
    }
}

impl Settings {
    /// Reads every key, so that what is left is unknown.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mut bus =
            BusSettings::new(config.require::<TransportUrl>("messaging", "transport_url")?);
        bus.exchange = config.get_or("messaging", "exchange", bus.exchange)?;
        let state_path = PathBuf::from("/var/lib/backstay/datamover");
        let targets = config.sections_named("target:");
        let targets = targets
            .iter()
            .map(|id| TargetSettings::from_config(config, id));
        Ok(Self {
            host: config.require("DEFAULT", "host")?,
            state_path: config.get_or("DEFAULT", "state_path", state_path)?,
            bus,
            ceph: CephSettings {
                conf: config.get("ceph", "conf")?,
                user: config.get("ceph", "user")?,
                pools: config.list("ceph", "pools")?,
            },
            libvirt_uri: config.get_or("libvirt", "uri", "qemu:///system".to_owned())?,
            targets: targets.collect::<Result<_, _>>()?,
            transfers: TransferSettings::from_config(config)?,
            points: PointSettings::from_config(config)?,
            brick: BrickSettings::from_config(config)?,
            raw_allowed_paths: config.list("raw", "allowed_paths")?,
        })
    }
}

impl TargetSettings {
    fn from_config(config: &Config, id: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            id: id.to_owned(),
            place: agent_target_s3::TargetSettings::from_config(config, &format!("target:{id}"))?,
        })
    }
}

impl TransferSettings {
    fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let section = "transfers";
        let workers = config.get_or(section, "workers", 2)?;
        if workers == 0 {
            return Err(config.invalid(section, "workers", "no disk would ever be moved"));
        }
        let limit = config.get_or(section, "rate_limit_bytes_per_second", 0)?;
        let seconds = config.get_or(section, "checkpoint_seconds", 5)?;
        Ok(Self {
            workers,
            rate_limit_bytes_per_second: (limit > 0).then_some(limit),
            checkpoint_interval: Duration::from_secs(seconds),
        })
    }
}
