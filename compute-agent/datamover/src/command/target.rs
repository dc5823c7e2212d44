//! Opening a target by what the command line calls it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use agent_target::Target;
use agent_target_s3::{S3Settings, TargetSettings};
use secrecy::SecretString;
use services_foundation::config::Config;

use super::arguments::{Common, S3Options};
use super::error::{CommandError, io, target};

const DEFAULT_CONFIG: &str = "/etc/backstay/datamover.conf";

/// Where backups are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPlace {
    /// A folder.
    Directory(PathBuf),
    /// A bucket, or what is below a prefix in it.
    S3 {
        /// Bucket.
        bucket: String,
        /// Prefix, maybe empty.
        prefix: String,
    },
    /// A section of the daemon's configuration file.
    Configured {
        /// What stands behind `target:`.
        id: String,
    },
}

impl FromStr for TargetPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err("a bucket is s3://BUCKET or s3://BUCKET/PREFIX".to_owned());
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            });
        }
        match text.strip_prefix("target:") {
            Some("") => Err("a configured target is target:ID".to_owned()),
            Some(id) => Ok(Self::Configured { id: id.to_owned() }),
            None if text.is_empty() => Err("a target has a name".to_owned()),
            None => Ok(Self::Directory(text.into())),
        }
    }
}

impl TargetPlace {
    /// What it is called from anywhere, to tell the work for one target from that for another.
    pub(super) fn identity(&self, common: &Common) -> Result<String, CommandError> {
        match self {
            Self::Directory(path) => Ok(real_path(path)?.display().to_string()),
            Self::S3 { bucket, prefix } => {
                let endpoint = endpoint(&common.s3).unwrap_or_default();
                Ok(format!("s3:{endpoint}/{bucket}/{prefix}"))
            }
            Self::Configured { id } => Ok(format!("target:{id}")),
        }
    }

    pub(super) fn open(&self, common: &Common) -> Result<Arc<dyn Target>, CommandError> {
        if let Self::Directory(path) = self {
            real_path(path)?;
        }
        let opened = self.settings(common)?.open();
        let opened = opened.map_err(|error| CommandError::Refused(error.to_string()))?;
        // A folder looks for its mark at every call; this one is the cheapest.
        opened.capacity().map_err(target("open the target"))?;
        Ok(opened)
    }

    /// Makes the folder, if need be, and makes it a target; a bucket is tried out.
    pub(super) fn initialise(&self, common: &Common) -> Result<(), CommandError> {
        if let Self::Directory(path) = self {
            std::fs::create_dir_all(path).map_err(io(format!("make {}", path.display())))?;
        }
        let made = self.settings(common)?.initialise();
        made.map_err(|error| {
            let why = services_foundation::error_chain::ErrorChain(&error).to_string();
            CommandError::Refused(format!("cannot make it a target: {why}"))
        })
    }

    fn settings(&self, common: &Common) -> Result<TargetSettings, CommandError> {
        match self {
            Self::Directory(path) => Ok(TargetSettings::Directory { path: path.clone() }),
            Self::S3 { bucket, prefix } => s3_settings(bucket, prefix, &common.s3),
            Self::Configured { id } => {
                let mut files = common.config_file.clone();
                if files.is_empty() {
                    files.push(DEFAULT_CONFIG.into());
                }
                let read = || {
                    let config = Config::load(&files)?;
                    TargetSettings::from_config(&config, &format!("target:{id}"))
                };
                read().map_err(|error| {
                    let why = services_foundation::error_chain::ErrorChain(&error).to_string();
                    CommandError::Refused(why)
                })
            }
        }
    }
}

fn real_path(path: &Path) -> Result<PathBuf, CommandError> {
    path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CommandError::NotFound(format!("there is no folder {}", path.display()))
        }
        _ => io(format!("look at {}", path.display()))(error),
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn endpoint(options: &S3Options) -> Option<String> {
    let told = options.s3_endpoint.clone();
    let told = told.or_else(|| variable("AWS_ENDPOINT_URL_S3"));
    told.or_else(|| variable("AWS_ENDPOINT_URL"))
}

fn s3_settings(
    bucket: &str,
    prefix: &str,
    options: &S3Options,
) -> Result<TargetSettings, CommandError> {
    let needed = |name: &str| {
        let missing = || CommandError::Refused(format!("a bucket needs the variable {name}"));
        variable(name).ok_or_else(missing)
    };
    let secret = SecretString::from(needed("AWS_SECRET_ACCESS_KEY")?);
    let usual = S3Settings::new(bucket, &needed("AWS_ACCESS_KEY_ID")?, secret);
    let region = options.s3_region.clone();
    let region = region.or_else(|| variable("AWS_REGION"));
    let region = region.or_else(|| variable("AWS_DEFAULT_REGION"));
    let settings = S3Settings {
        endpoint_url: endpoint(options),
        region: region.unwrap_or_else(|| usual.region.clone()),
        prefix: prefix.to_owned(),
        path_style: !options.s3_virtual_host,
        ca_file: options.s3_ca_file.clone(),
        ..usual
    };
    Ok(TargetSettings::S3(settings))
}

#[cfg(test)]
mod tests {
    use super::TargetPlace;

    #[test]
    fn folders_buckets_and_sections_are_told_apart() {
        let parse = |text: &str| text.parse::<TargetPlace>();
        let s3 = |bucket: &str, prefix: &str| {
            Ok(TargetPlace::S3 {
                bucket: bucket.into(),
                prefix: prefix.into(),
            })
        };
        assert_eq!(parse("s3://backups"), s3("backups", ""));
        assert_eq!(parse("s3://backups/a/b/"), s3("backups", "a/b"));
        assert_eq!(
            parse("/backups"),
            Ok(TargetPlace::Directory("/backups".into()))
        );
        assert_eq!(
            parse("./target:a"),
            Ok(TargetPlace::Directory("./target:a".into()))
        );
        assert_eq!(
            parse("target:a"),
            Ok(TargetPlace::Configured { id: "a".into() })
        );
        for bad in ["", "s3://", "s3:///a", "target:"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
