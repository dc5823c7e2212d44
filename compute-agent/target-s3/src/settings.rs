//! What an operator says of a bucket.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The least that servers take as a part that is not the last one.
pub(crate) const LEAST_PART_BYTES: u64 = 5 << 20;
/// The most that they take.
pub(crate) const LARGEST_PART_BYTES: u64 = 5 << 30;

/// A bucket, how to reach it, and how much memory may be used for that.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// `https://host[:port]`; none means Amazon's, by the region.
    pub endpoint_url: Option<String>,
    /// What requests are signed for; most servers take any.
    pub region: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// All names of ours begin with this, so that a bucket can be shared; empty means none.
    pub prefix: String,
    /// Who we are.
    pub access_key_id: String,
    /// The proof of it.
    pub secret_access_key: SecretString,
    /// The bucket's name in the path and not in the host's name.
    pub path_style: bool,
    /// Authorities to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// No part is larger, so that an image of at most parts x this fits.
    pub largest_part_bytes: u64,
    /// Parts of one image in memory at a time, sent side by side.
    pub parts_in_flight: usize,
    /// How long a server may take to answer, the time to send or receive much not counted.
    pub request_timeout: Duration,
    /// How often a request is tried before it has failed.
    pub attempts: u32,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {why}")]
pub struct SettingsError {
    /// The setting.
    pub key: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl S3Settings {
    /// `bucket` with all else at its default.
    pub fn new(bucket: &str, access_key_id: &str, secret_access_key: SecretString) -> Self {
        Self {
            endpoint_url: None,
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            prefix: String::new(),
            access_key_id: access_key_id.to_owned(),
            secret_access_key,
            path_style: true,
            ca_file: None,
            largest_part_bytes: 128 << 20,
            parts_in_flight: 8,
            request_timeout: Duration::from_secs(60),
            attempts: 5,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let wrong = |key, why: &str| {
            Err(SettingsError {
                key,
                why: why.to_owned(),
            })
        };
        if !(LEAST_PART_BYTES..=LARGEST_PART_BYTES).contains(&self.largest_part_bytes) {
            return wrong("part_size_mib", "servers take parts of 5 to 5120 MiB");
        }
        if self.parts_in_flight == 0 {
            return wrong("parts_in_flight", "nothing would ever be sent");
        }
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return wrong("bucket", "it is no name of a bucket");
        }
        // Keys end at 1024 bytes, names at 900, and what is unfinished has longer ones.
        if self.prefix.len() > 64 {
            return wrong("prefix", "it is longer than 64 bytes");
        }
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.');
        let prefix = self.prefix.trim_matches('/');
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return wrong("prefix", "a part of it is empty or begins with a dot");
        }
        Ok(())
    }

    /// What stands before every name in the bucket: nothing, or text that ends with a slash.
    pub(crate) fn key_prefix(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }
}
