//! Removing objects: a thousand with one request where the server can.

use std::sync::atomic::Ordering;

use agent_target::{ErrorKind, Result};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_types::base64;
use md5::{Digest, Md5};

use super::Bucket;
use crate::error::{because, failed, is_unsupported};

/// The most that a server takes in one request.
const BATCH: usize = 1000;

impl Bucket {
    /// Removes one object; none is fine.
    pub(crate) async fn delete(&self, operation: &'static str, key: &str) -> Result<()> {
        let asked = self.client.delete_object().bucket(self.name()).key(key);
        match asked.send().await.map_err(failed(operation, key)) {
            // Amazon says that it is done, Swift that there is none.
            Err(error) if error.kind == ErrorKind::NotFound => self.expect_bucket(operation).await,
            done => done.map(drop),
        }
    }

    /// Removes objects; those that are not there are fine.
    pub(crate) async fn delete_all(&self, operation: &'static str, keys: &[String]) -> Result<()> {
        for batch in keys.chunks(BATCH) {
            let is_worth_it = batch.len() > 1 && !self.deletes_singly.load(Ordering::Relaxed);
            if !is_worth_it || !self.delete_batch(operation, batch).await? {
                for key in batch {
                    self.delete(operation, key).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether the server can do that.
    async fn delete_batch(&self, operation: &'static str, keys: &[String]) -> Result<bool> {
        let unusable = |why: String| because(ErrorKind::Other, operation, "many objects", why);
        let objects = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| unusable(e.to_string()))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
        let delete = delete.build().map_err(|e| unusable(e.to_string()))?;
        let asked = self
            .client
            .delete_objects()
            .bucket(self.name())
            .delete(delete);
        // Older servers insist on the one checksum that the SDK does not send any more.
        let sent = asked.customize().mutate_request(|request| {
            if let Some(body) = request.body().bytes() {
                let digest = base64::encode(Md5::digest(body));
                request.headers_mut().insert("content-md5", digest);
            }
        });
        let answer = match sent.send().await {
            Ok(answer) => answer,
            Err(error) if is_refused(&error) => {
                self.deletes_singly.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Err(error) => return Err(failed(operation, "many objects")(error)),
        };
        for refused in answer.errors.unwrap_or_default() {
            let code = refused.code.unwrap_or_default();
            if code == "NoSuchKey" {
                continue;
            }
            let key = refused.key.unwrap_or_default();
            let kind = match code.as_str() {
                "AccessDenied" => ErrorKind::Denied,
                "SlowDown" | "InternalError" | "ServiceUnavailable" => ErrorKind::Unavailable,
                _ => ErrorKind::Other,
            };
            let message = refused.message.unwrap_or_default();
            let why = format!("the server answered {code}: {message}");
            return Err(because(kind, operation, &key, why));
        }
        Ok(true)
    }
}

fn is_refused(
    error: &SdkError<DeleteObjectsError, aws_sdk_s3::config::http::HttpResponse>,
) -> bool {
    is_unsupported(error)
}
