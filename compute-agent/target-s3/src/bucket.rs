//! Requests to one bucket, each with its keys, its timeouts and its errors.

mod objects;
mod remove;
mod uploads;

use agent_format::ObjectName;
use agent_target::{ErrorKind, Result, TargetError};
use aws_sdk_s3::Client;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::connect;
use crate::error::{because, failed};
use crate::settings::{S3Settings, SettingsError};

pub(crate) use objects::{Found, Opened};
pub(crate) use uploads::{Part, Upload};

/// A bucket, and where in it we are.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) settings: S3Settings,
    prefix: String,
    /// The server cannot delete many objects with one request.
    deletes_singly: AtomicBool,
    /// Parts must come with their MD5.
    wants_md5: AtomicBool,
}

impl Bucket {
    pub(crate) fn new(settings: S3Settings) -> std::result::Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self {
            client: connect(&settings)?,
            prefix: settings.key_prefix(),
            settings,
            deletes_singly: AtomicBool::new(false),
            wants_md5: AtomicBool::new(false),
        })
    }

    /// From now on parts come with their MD5, for buckets that keep what is written for a while.
    pub(crate) fn send_md5(&self) {
        self.wants_md5.store(true, Ordering::Relaxed);
    }

    /// The bucket's name, as the SDK wants it.
    pub(crate) fn name(&self) -> String {
        self.settings.bucket.clone()
    }

    /// What stands before every key of ours.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What all keys below `folder` begin with.
    pub(crate) fn folder_key(&self, folder: &ObjectName) -> String {
        format!("{}{folder}/", self.prefix)
    }

    /// What the keys beside an unfinished `name` begin with.
    pub(crate) fn partial_key(&self, name: &ObjectName) -> String {
        let file = name.file_name();
        match name.folder() {
            Some(folder) => format!("{}{folder}/.{file}.partial/", self.prefix),
            None => format!("{}.{file}.partial/", self.prefix),
        }
    }

    /// The object's name; none for what is no object of ours.
    pub(crate) fn object_name(&self, key: &str) -> Option<ObjectName> {
        let name = key.strip_prefix(&self.prefix)?;
        ObjectName::new(name).ok()
    }

    /// Fails if the bucket is not there, for answers that do not tell that from a missing object.
    pub(crate) async fn expect_bucket(&self, operation: &'static str) -> Result<()> {
        let asked = self.client.head_bucket().bucket(self.name()).send().await;
        asked
            .map_err(failed(operation, &self.settings.bucket))
            .map_err(|error| self.without_bucket(error))?;
        Ok(())
    }

    fn without_bucket(&self, error: TargetError) -> TargetError {
        if error.kind == ErrorKind::NotFound {
            let why = "there is no such bucket";
            let bucket = &self.settings.bucket;
            return because(ErrorKind::Unavailable, error.operation, bucket, why);
        }
        error
    }
}
