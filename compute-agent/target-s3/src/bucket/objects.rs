//! Writing, reading and listing objects.

use std::sync::atomic::Ordering;

use agent_target::{ErrorKind, Result, TargetError};
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::base64;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::Bucket;
use crate::client::{backoff, timeouts};
use crate::error::{bare, because, failed};

/// An object as it is listed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) size_bytes: u64,
}

/// An object as it was when it was looked at.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) size_bytes: u64,
    /// Which of the objects of that name it is.
    pub(crate) etag: String,
    /// Who wrote it, if it was an upload of ours.
    pub(crate) writer: Option<String>,
}

/// The key of [`Opened::writer`] in an object's metadata.
pub(crate) const WRITER: &str = "backstay-writer";

impl Bucket {
    /// For one request that carries `bytes` either way.
    pub(super) fn patience(&self, bytes: u64) -> Builder {
        Builder::new().timeout_config(timeouts(&self.settings, bytes))
    }

    /// The same for parts, which are large: only where it must be.
    pub(super) fn md5_if_locked(&self, bytes: &[u8]) -> Option<String> {
        let is_wanted = self.wants_md5.load(Ordering::Relaxed);
        is_wanted.then(|| base64::encode(Md5::digest(bytes)))
    }

    pub(crate) async fn put(&self, operation: &'static str, key: &str, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        let sent = self
            .client
            .put_object()
            .bucket(self.name())
            .key(key)
            // Buckets that keep what is written refuse what has not this checksum.
            .content_md5(base64::encode(Md5::digest(&bytes)))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(self.patience(length))
            .send()
            .await;
        sent.map_err(failed(operation, key))?;
        Ok(())
    }

    /// None if there is no such object.
    pub(crate) async fn head(&self, operation: &'static str, key: &str) -> Result<Option<Opened>> {
        let asked = self.client.head_object().bucket(self.name()).key(key);
        match asked.send().await.map_err(failed(operation, key)) {
            Ok(found) => Ok(Some(Opened {
                size_bytes: length(found.content_length, operation, key)?,
                etag: etag(found.e_tag, operation, key)?,
                writer: found.metadata.and_then(|mut all| all.remove(WRITER)),
            })),
            Err(error) if error.kind == ErrorKind::NotFound => {
                // The answer to HEAD has no body that could say what is missing.
                self.expect_bucket(operation).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The whole of an object; `Corrupt` if it is larger than `limit_bytes`.
    pub(crate) async fn get(
        &self,
        operation: &'static str,
        key: &str,
        limit_bytes: u64,
    ) -> Result<Vec<u8>> {
        let mut failures = 0;
        loop {
            let asked = self.client.get_object().bucket(self.name()).key(key);
            let answer = asked.send().await.map_err(failed(operation, key))?;
            let size_bytes = length(answer.content_length, operation, key)?;
            if size_bytes > limit_bytes {
                let why = format!("it has {size_bytes} bytes, at most {limit_bytes} were expected");
                return Err(because(ErrorKind::Corrupt, operation, key, why));
            }
            let mut bytes = Vec::new();
            match self
                .receive(operation, key, answer, size_bytes, &mut bytes)
                .await
            {
                Ok(()) => return Ok(bytes),
                // All of it again: what is there by now may be another object.
                Err(error) => self.wait_or_fail(&mut failures, error).await?,
            }
        }
    }

    /// `length` bytes at `offset` of that very object; `Unavailable` if it is not there any more.
    pub(crate) async fn get_range(
        &self,
        operation: &'static str,
        key: &str,
        object: &Opened,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut failures = 0;
        while (bytes.len() as u64) < length {
            let from = offset + bytes.len() as u64;
            let last = offset + length - 1;
            let asked = self
                .client
                .get_object()
                .bucket(self.name())
                .key(key)
                .range(format!("bytes={from}-{last}"))
                .if_match(&object.etag)
                .customize()
                .config_override(self.patience(0))
                .send()
                .await;
            let answer = asked
                .map_err(failed(operation, key))
                .map_err(|error| gone(error, key))?;
            let is_other = answer.e_tag.as_ref() != Some(&object.etag);
            if is_other {
                return Err(replaced(operation, key));
            }
            let wanted = length - bytes.len() as u64;
            if answer.content_length.and_then(|n| u64::try_from(n).ok()) != Some(wanted) {
                let why = "the server sent another range than asked for";
                return Err(because(ErrorKind::Other, operation, key, why));
            }
            if let Err(error) = self
                .receive(operation, key, answer, wanted, &mut bytes)
                .await
            {
                self.wait_or_fail(&mut failures, error).await?;
            }
        }
        Ok(bytes)
    }

    /// Adds the answer's body to `bytes`; what came before an error stays there.
    async fn receive(
        &self,
        operation: &'static str,
        key: &str,
        answer: GetObjectOutput,
        wanted: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let cut = |why: &str| because(ErrorKind::Unavailable, operation, key, why);
        let mut left = wanted;
        let mut body = answer.body;
        while left > 0 {
            let next = tokio::time::timeout(self.settings.request_timeout, body.next()).await;
            let piece = match next {
                Err(_) => return Err(cut("the server stopped sending")),
                Ok(None) => return Err(cut("the answer ended too early")),
                Ok(Some(Err(error))) => {
                    return Err(TargetError {
                        kind: ErrorKind::Unavailable,
                        operation,
                        name: key.to_owned(),
                        source: Some(Box::new(error)),
                    });
                }
                Ok(Some(Ok(piece))) => piece,
            };
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| cut("the answer is longer than it said"))?;
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// A body that did not come whole is asked for again; the SDK sees to the answers before it.
    async fn wait_or_fail(&self, failures: &mut u32, error: TargetError) -> Result<()> {
        *failures += 1;
        if *failures >= self.settings.attempts {
            return Err(error);
        }
        tokio::time::sleep(backoff(*failures)).await;
        Ok(())
    }

    /// All keys that begin with `prefix`, in order.
    pub(crate) async fn list(&self, operation: &'static str, prefix: &str) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let asked = self.client.list_objects_v2().bucket(self.name());
        let mut pages = asked.prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(failed(operation, prefix))
                .map_err(|error| self.without_bucket(error))?;
            for object in page.contents.unwrap_or_default() {
                let size_bytes = length(object.size, operation, prefix)?;
                found.extend(object.key.map(|key| Found { key, size_bytes }));
            }
        }
        Ok(found)
    }
}

/// What was opened and is gone is not a missing object, but one that cannot be read on.
fn gone(error: TargetError, key: &str) -> TargetError {
    let is_gone = error.kind == ErrorKind::NotFound
        || error
            .source
            .as_ref()
            .is_some_and(|source| source.to_string().contains("PreconditionFailed"));
    if is_gone {
        return replaced(error.operation, key);
    }
    error
}

fn replaced(operation: &'static str, key: &str) -> TargetError {
    let why = "it was replaced or deleted since it was opened";
    because(ErrorKind::Unavailable, operation, key, why)
}

fn length(length: Option<i64>, operation: &'static str, key: &str) -> Result<u64> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| because(ErrorKind::Other, operation, key, "the answer has no length"))
}

fn etag(etag: Option<String>, operation: &'static str, key: &str) -> Result<String> {
    etag.filter(|etag| !etag.is_empty())
        .ok_or_else(|| bare(ErrorKind::Other, operation, key))
}
