//! What the bucket is set up for: versions, object lock.

use std::sync::{Mutex, PoisonError};

use agent_target::{ErrorKind, Result};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};

use crate::bucket::Bucket;
use crate::error::{failed, is_unsupported};
use crate::limits::PartLimit;

const OPERATION: &str = "ask for the features of";

/// What a bucket is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) keeps_versions: bool,
    pub(crate) has_object_lock: bool,
    /// Whatever is written is kept for a while without our asking for it.
    pub(crate) locks_by_default: bool,
}

/// What was found out about the server and the bucket, once.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) part_limit: PartLimit,
    features: Mutex<Option<Features>>,
}

impl Known {
    pub(crate) async fn features(&self, bucket: &Bucket) -> Result<Features> {
        let known = *self.features.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        let found = bucket.features().await?;
        if found.has_object_lock {
            bucket.send_md5();
        }
        *self.features.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(found)
    }
}

impl Bucket {
    async fn features(&self) -> Result<Features> {
        let asked = self.client.get_bucket_versioning().bucket(self.name());
        let keeps_versions = match asked.send().await {
            // Versions of before a suspension stay, new ones are not made.
            Ok(found) => found.status == Some(BucketVersioningStatus::Enabled),
            Err(error) if is_unsupported(&error) => false,
            Err(error) => return Err(failed(OPERATION, &self.settings.bucket)(error)),
        };
        let none = Features {
            keeps_versions,
            has_object_lock: false,
            locks_by_default: false,
        };
        if !keeps_versions {
            // A lock is one of versions.
            return Ok(none);
        }
        let asked = self
            .client
            .get_object_lock_configuration()
            .bucket(self.name());
        let lock = match asked.send().await {
            Ok(found) => found.object_lock_configuration,
            Err(error) if is_unsupported(&error) => None,
            Err(error) => {
                let error = failed(OPERATION, &self.settings.bucket)(error);
                if error.kind != ErrorKind::NotFound {
                    return Err(error);
                }
                None
            }
        };
        Ok(lock.map_or(none, |lock| Features {
            keeps_versions,
            has_object_lock: lock.object_lock_enabled == Some(ObjectLockEnabled::Enabled),
            locks_by_default: lock
                .rule
                .is_some_and(|rule| rule.default_retention.is_some()),
        }))
    }
}
