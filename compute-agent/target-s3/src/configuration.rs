//! A target as a section of a configuration file names it: the one place where all types are known.

use std::path::PathBuf;
use std::sync::Arc;

use agent_target::{DirectoryTarget, MountSettings, NfsExport, NfsTarget, Target, TargetError};
use services_foundation::config::{Config, ConfigError};

use crate::{S3Settings, S3Target, SettingsError};

/// What operators know exports to be mounted with.
const NFS_OPTIONS: &str = "nolock,soft,timeo=180,intr,lookupcache=none";
const MIB: u64 = 1 << 20;

/// A target and how to reach it.
#[derive(Debug, Clone)]
pub enum TargetSettings {
    /// A folder that somebody else mounts, if it is to be mounted.
    Directory {
        /// Where it is.
        path: PathBuf,
    },
    /// An NFS export that we mount.
    Nfs {
        /// Which one.
        export: NfsExport,
        /// How.
        mount: MountSettings,
    },
    /// A bucket.
    S3(S3Settings),
}

/// Why a target cannot be used or made one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be as its settings say.
    #[error("the settings of the target cannot be used")]
    Settings(#[from] SettingsError),
    /// It does not let itself be used.
    #[error("the target cannot be used")]
    Target(#[from] TargetError),
}

impl TargetSettings {
    /// Reads the section `section`; keys and defaults: `packaging/etc/datamover.conf`.
    pub fn from_config(config: &Config, section: &str) -> Result<Self, ConfigError> {
        let kind = config.get_or(section, "type", "directory".to_owned())?;
        match kind.as_str() {
            "directory" => Ok(Self::Directory {
                path: config.require(section, "path")?,
            }),
            "nfs" => nfs(config, section),
            "s3" => {
                let settings = s3(config, section)?;
                let checked = settings.validate();
                checked.map_err(|e| config.invalid(section, e.key, e.why))?;
                Ok(Self::S3(settings))
            }
            _ => Err(config.invalid(section, "type", "it is one of directory, nfs, s3")),
        }
    }

    /// The target. It need not be there yet.
    pub fn open(&self) -> Result<Arc<dyn Target>, SettingsError> {
        Ok(match self {
            Self::Directory { path } => Arc::new(DirectoryTarget::new(path)),
            Self::Nfs { export, mount } => Arc::new(NfsTarget::new(export.clone(), mount.clone())),
            Self::S3(settings) => Arc::new(S3Target::new(settings.clone())?),
        })
    }

    /// Declares it a target, once, by an operator who sees that it is the right place. A bucket needs
    /// no mark, since none stands in for another: it is only tried out.
    pub fn initialise(&self) -> Result<(), OpenError> {
        match self {
            Self::Directory { path } => drop(DirectoryTarget::initialise(path)?),
            Self::Nfs { export, mount } => {
                drop(NfsTarget::initialise(export.clone(), mount.clone())?);
            }
            Self::S3(settings) => S3Target::new(settings.clone())?.check_writable()?,
        }
        Ok(())
    }
}

fn nfs(config: &Config, section: &str) -> Result<TargetSettings, ConfigError> {
    let usual = MountSettings::default();
    Ok(TargetSettings::Nfs {
        export: NfsExport {
            export: config.require(section, "export")?,
            options: config.get_or(section, "options", NFS_OPTIONS.to_owned())?,
        },
        mount: MountSettings {
            root: config.get_or(section, "mount_root", usual.root.clone())?,
            prefix: config.list(section, "mount_prefix")?,
            ..usual
        },
    })
}

fn s3(config: &Config, section: &str) -> Result<S3Settings, ConfigError> {
    let bucket: String = config.require(section, "bucket")?;
    let key_id: String = config.require(section, "access_key_id")?;
    let secret = config.require_secret(section, "secret_access_key")?;
    let usual = S3Settings::new(&bucket, &key_id, secret);
    let part_mib = usual.largest_part_bytes / MIB;
    let part_mib: u64 = config.get_or(section, "part_size_mib", part_mib)?;
    Ok(S3Settings {
        endpoint_url: config.get(section, "endpoint_url")?,
        region: config.get_or(section, "region_name", usual.region.clone())?,
        prefix: config.get_or(section, "prefix", String::new())?,
        path_style: config.flag(section, "path_style", usual.path_style)?,
        ca_file: config.get(section, "cafile")?,
        largest_part_bytes: part_mib.saturating_mul(MIB),
        parts_in_flight: config.get_or(section, "parts_in_flight", usual.parts_in_flight)?,
        ..usual
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TargetSettings, String> {
        let config = Config::from_texts([("test".into(), text.to_owned())], []).unwrap();
        TargetSettings::from_config(&config, "target:t").map_err(|e| e.to_string())
    }

    const BUCKET: &str =
        "[target:t]\ntype = s3\nbucket = b\naccess_key_id = k\nsecret_access_key = s\n";

    #[test]
    fn a_bucket_has_usual_values_for_all_but_its_name_and_keys() {
        let Ok(TargetSettings::S3(settings)) = read(BUCKET) else {
            panic!("it is a bucket");
        };
        assert_eq!(settings.endpoint_url, None);
        assert_eq!(settings.largest_part_bytes, 128 * MIB);
        let text = format!("{BUCKET}endpoint_url = http://h:7480\npart_size_mib = 64\n");
        let Ok(TargetSettings::S3(settings)) = read(&text) else {
            panic!("it is a bucket");
        };
        assert_eq!(settings.endpoint_url.as_deref(), Some("http://h:7480"));
        assert_eq!(settings.largest_part_bytes, 64 * MIB);
    }

    #[test]
    fn a_part_size_that_no_server_takes_is_refused_by_its_key() {
        let error = read(&format!("{BUCKET}part_size_mib = 4\n")).unwrap_err();
        assert!(error.contains("part_size_mib"), "{error}");
    }

    #[test]
    fn an_export_is_mounted_with_the_usual_options() {
        let Ok(TargetSettings::Nfs { export, .. }) =
            read("[target:t]\ntype = nfs\nexport = h:/e\n")
        else {
            panic!("it is an export");
        };
        assert_eq!(
            (export.export.as_str(), export.options.as_str()),
            ("h:/e", NFS_OPTIONS)
        );
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert!(
            read("[target:t]\ntype = tape\n")
                .unwrap_err()
                .contains("type")
        );
    }
}
