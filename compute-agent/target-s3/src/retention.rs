//! Object lock. In compliance mode, which nobody can lift; the bucket's owner chose it by turning
//! object lock on.

use std::time::SystemTime;

use agent_format::ObjectName;
use agent_target::{ErrorKind, Result, Retention};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

use crate::error::{because, failed};
use crate::target::{S3Target, named};

impl Retention for S3Target {
    fn retain(&self, name: &ObjectName, until: SystemTime) -> Result<()> {
        let key = self.key(name);
        let retained = self.run(|shared| async move {
            let bucket = &shared.bucket;
            let retention = ObjectLockRetention::builder()
                .mode(ObjectLockRetentionMode::Compliance)
                .retain_until_date(DateTime::from(until))
                .build();
            let asked = bucket.client.put_object_retention().bucket(bucket.name());
            let sent = asked.key(&key).retention(retention).send().await;
            sent.map_err(failed("retain object", &key))?;
            Ok(())
        });
        retained.map_err(named(name))
    }

    fn retained_until(&self, name: &ObjectName) -> Result<Option<SystemTime>> {
        let operation = "look up retention of";
        let key = self.key(name);
        let until = self.run(|shared| async move {
            let bucket = &shared.bucket;
            let asked = bucket.client.get_object_retention().bucket(bucket.name());
            let found = match asked.key(&key).send().await {
                Ok(found) => found.retention.and_then(|found| found.retain_until_date),
                Err(error) if has_none(&error) => None,
                Err(error) => return Err(failed(operation, &key)(error)),
            };
            found.map(SystemTime::try_from).transpose().map_err(|e| {
                let why = format!("the server's date is none: {e}");
                because(ErrorKind::Other, operation, &key, why)
            })
        });
        until.map_err(named(name))
    }
}

/// Amazon and Ceph have a code each for an object without retention.
fn has_none<E: ProvideErrorMetadata>(
    error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> bool {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    matches!(
        code,
        Some("NoSuchObjectLockConfiguration" | "ObjectLockConfigurationNotFoundError")
    )
}
