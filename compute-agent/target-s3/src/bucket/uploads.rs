//! Multipart uploads.

use std::collections::BTreeMap;
use std::ops::Range;

use agent_target::{ErrorKind, Result};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Bucket;
use super::objects::WRITER;
use crate::error::{because, failed};

const NOT_IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An upload that has not been completed.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: String,
}

/// A part that the server has.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) size_bytes: u64,
}

impl Bucket {
    /// Begins an upload; the object will say that `writer` wrote it.
    pub(crate) async fn begin_upload(
        &self,
        operation: &'static str,
        key: &str,
        writer: &str,
    ) -> Result<String> {
        let asked = self
            .client
            .create_multipart_upload()
            .bucket(self.name())
            .key(key);
        let begun = asked.metadata(WRITER, writer).send().await;
        let id = begun.map_err(failed(operation, key))?.upload_id;
        id.ok_or_else(|| because(ErrorKind::Other, operation, key, "the upload has no id"))
    }

    /// Sends a part, and gives the tag that completes the upload.
    pub(crate) async fn send_part(
        &self,
        operation: &'static str,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<String> {
        let length = bytes.len() as u64;
        let sent = self
            .client
            .upload_part()
            .bucket(self.name())
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .set_content_md5(self.md5_if_locked(&bytes))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(self.patience(length))
            .send()
            .await;
        let etag = sent.map_err(failed(operation, key))?.e_tag;
        etag.ok_or_else(|| because(ErrorKind::Other, operation, key, "a part has no tag"))
    }

    /// Lets the server make a part of `range` of `source`. It is not asked to compare tags: Swift knows
    /// another one for an object of parts than it tells.
    pub(crate) async fn copy_part(
        &self,
        key: &str,
        (upload, number): (&str, i32),
        source: &str,
        range: Range<u64>,
    ) -> Result<String> {
        let operation = "copy from image";
        let source_path = format!("{}/{source}", self.settings.bucket);
        let sent = self
            .client
            .upload_part_copy()
            .bucket(self.name())
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .copy_source(utf8_percent_encode(&source_path, NOT_IN_PATHS).to_string())
            .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
            .customize()
            // Ceph insists on being told that nothing follows.
            .mutate_request(|request| drop(request.headers_mut().insert("content-length", "0")))
            .config_override(self.patience(range.end - range.start))
            .send()
            .await;
        let copied = sent.map_err(failed(operation, source))?.copy_part_result;
        let etag = copied.and_then(|copied| copied.e_tag);
        etag.ok_or_else(|| because(ErrorKind::Other, operation, key, "a part has no tag"))
    }

    /// All parts that the server has of an upload, in order.
    pub(crate) async fn parts(
        &self,
        operation: &'static str,
        key: &str,
        upload: &str,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let asked = self.client.list_parts().bucket(self.name()).key(key);
        let mut pages = asked.upload_id(upload).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed(operation, key))?;
            for part in page.parts.unwrap_or_default() {
                let size_bytes = part.size.and_then(|size| u64::try_from(size).ok());
                let known = (part.part_number, part.e_tag, size_bytes);
                let (Some(number), Some(etag), Some(size_bytes)) = known else {
                    let why = "the server lists a part without its number, tag or size";
                    return Err(because(ErrorKind::Other, operation, key, why));
                };
                parts.push(Part {
                    number,
                    etag,
                    size_bytes,
                });
            }
        }
        Ok(parts)
    }

    /// Makes the parts one object. If the answer is lost, whether it is there is found out.
    pub(crate) async fn complete_upload(
        &self,
        operation: &'static str,
        key: &str,
        upload: &str,
        parts: &BTreeMap<i32, String>,
        writer: &str,
    ) -> Result<()> {
        let completed = parts.iter().map(|(number, etag)| {
            CompletedPart::builder()
                .part_number(*number)
                .e_tag(etag)
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(completed.collect()));
        let sent = self
            .client
            .complete_multipart_upload()
            .bucket(self.name())
            .key(key)
            .upload_id(upload)
            .multipart_upload(parts.build())
            .customize()
            // Some servers put the object together before they answer.
            .config_override(self.patience(1 << 30))
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(());
        };
        let mut error = failed(operation, key)(error);
        if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unavailable) {
            let found = self.head(operation, key).await?;
            if found.is_some_and(|found| found.writer.as_deref() == Some(writer)) {
                return Ok(());
            }
        }
        if error.kind == ErrorKind::NotFound {
            // To who finishes it is `NotFound` no answer: it was there.
            error.kind = ErrorKind::Other;
        }
        Err(error)
    }

    /// Throws an upload away; none is fine.
    pub(crate) async fn abort_upload(
        &self,
        operation: &'static str,
        upload: &Upload,
    ) -> Result<()> {
        let asked = self
            .client
            .abort_multipart_upload()
            .bucket(self.name())
            .key(&upload.key)
            .upload_id(&upload.id);
        match asked.send().await.map_err(failed(operation, &upload.key)) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            done => done.map(drop),
        }
    }

    /// Uploads of all keys that begin with `prefix`.
    pub(crate) async fn uploads(
        &self,
        operation: &'static str,
        prefix: &str,
    ) -> Result<Vec<Upload>> {
        let mut found = Vec::new();
        let mut marker: Option<(String, Option<String>)> = None;
        loop {
            let (key, id) = marker.take().unzip();
            let asked = self
                .client
                .list_multipart_uploads()
                .bucket(self.name())
                .prefix(prefix)
                .set_key_marker(key)
                .set_upload_id_marker(id.flatten());
            let page = asked
                .send()
                .await
                .map_err(failed(operation, prefix))
                .map_err(|error| self.without_bucket(error))?;
            let uploads = page.uploads.unwrap_or_default().into_iter();
            found.extend(uploads.filter_map(|upload| {
                let (key, id) = upload.key.zip(upload.upload_id)?;
                // A server that does not know prefixes lists all.
                key.starts_with(prefix).then_some(Upload { key, id })
            }));
            let next = page.next_key_marker.filter(|next| !next.is_empty());
            match next {
                Some(next) if page.is_truncated == Some(true) => {
                    marker = Some((next, page.next_upload_id_marker));
                }
                _ => return Ok(found),
            }
        }
    }
}
