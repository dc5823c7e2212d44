//! Objects that arrive in parts, or are put together from parts of others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::answers::{between, bytes_of, empty, error, tag, with, xml};
use crate::bucket::{Asked, Object, PAGE, State};
use crate::http::{Message, decode};
use crate::server::BUCKET;

const LEAST_PART: usize = 5 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Upload {
    key: String,
    writer: Option<String>,
    parts: BTreeMap<i32, (Arc<Vec<u8>>, String)>,
}

impl State {
    pub(crate) fn begin(&mut self, asked: &Asked<'_>) -> Message {
        self.counter += 1;
        let id = format!("upload-{}", self.counter);
        let writer = asked.request.header("x-amz-meta-backstay-writer");
        let upload = Upload {
            key: asked.key.clone(),
            writer: writer.map(str::to_owned),
            parts: BTreeMap::new(),
        };
        self.contents.uploads.insert(id.clone(), upload);
        xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    pub(crate) fn put_part(&mut self, asked: &Asked<'_>) -> Message {
        let number = asked.query("partNumber").unwrap().parse().unwrap();
        if asked.request.header("content-length").is_none() {
            return error(411, "MissingContentLength");
        }
        let copied = asked.request.header("x-amz-copy-source").map(|source| {
            let key = decode(source.trim_start_matches('/'));
            let key = key.strip_prefix(&format!("{BUCKET}/")).unwrap().to_owned();
            let range = asked.request.header("x-amz-copy-source-range").unwrap();
            let (from, to) = bytes_of(range);
            let object = self.contents.objects.get(&key)?;
            Some(object.bytes.get(from..=to)?.to_vec())
        });
        let bytes = match &copied {
            None => asked.request.body.clone(),
            Some(Some(bytes)) => bytes.clone(),
            Some(None) => return error(404, "NoSuchKey"),
        };
        let Some(upload) = self
            .contents
            .uploads
            .get_mut(asked.query("uploadId").unwrap())
        else {
            return error(404, "NoSuchUpload");
        };
        let etag = tag(&bytes);
        upload.parts.insert(number, (Arc::new(bytes), etag.clone()));
        if copied.is_some() {
            return xml(format!(
                "<CopyPartResult><ETag>{etag}</ETag></CopyPartResult>"
            ));
        }
        with(empty(200), "ETag", &etag)
    }

    pub(crate) fn list_parts(&self, asked: &Asked<'_>) -> Message {
        let Some(upload) = self.contents.uploads.get(asked.query("uploadId").unwrap()) else {
            return error(404, "NoSuchUpload");
        };
        let after = asked.query("part-number-marker").unwrap_or("0");
        let after: i32 = after.parse().unwrap();
        let parts: Vec<_> = upload.parts.range(after + 1..).collect();
        let mut text = String::from("<ListPartsResult>");
        for (number, (bytes, etag)) in parts.iter().take(PAGE) {
            write!(
                text,
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>{}</Size></Part>",
                bytes.len()
            )
            .unwrap();
            write!(
                text,
                "<NextPartNumberMarker>{number}</NextPartNumberMarker>"
            )
            .unwrap();
        }
        // Only the last marker counts.
        let last = parts
            .iter()
            .take(PAGE)
            .next_back()
            .map_or(0, |part| *part.0);
        for (number, _) in parts.iter().take(PAGE).filter(|part| *part.0 != last) {
            let marker = format!("<NextPartNumberMarker>{number}</NextPartNumberMarker>");
            text = text.replace(&marker, "");
        }
        let is_more = parts.len() > PAGE;
        xml(format!(
            "{text}<IsTruncated>{is_more}</IsTruncated></ListPartsResult>"
        ))
    }

    pub(crate) fn complete(&mut self, asked: &Asked<'_>) -> Message {
        let id = asked.query("uploadId").unwrap();
        let Some(upload) = self.contents.uploads.get(id) else {
            return error(404, "NoSuchUpload");
        };
        let named = between(asked.body(), "<Part>", "</Part>");
        let mut bytes = Vec::new();
        if named.len() != upload.parts.len() {
            return error(400, "InvalidPart");
        }
        for (at, part) in named.iter().enumerate() {
            let number: i32 = between(part, "<PartNumber>", "</PartNumber>")[0]
                .parse()
                .unwrap();
            let etag = between(part, "<ETag>", "</ETag>")[0].replace("&quot;", "\"");
            let Some((stored, stored_etag)) = upload.parts.get(&number) else {
                return error(400, "InvalidPart");
            };
            if *stored_etag != etag {
                return error(400, "InvalidPart");
            }
            if stored.len() < LEAST_PART && at + 1 < named.len() {
                return error(400, "EntityTooSmall");
            }
            bytes.extend(stored.iter());
        }
        let upload = self.contents.uploads.remove(id).unwrap();
        let etag = format!("\"{}-{}\"", tag(&bytes).trim_matches('"'), named.len());
        let object = Object {
            bytes: Arc::new(bytes),
            etag: etag.clone(),
            writer: upload.writer,
        };
        self.contents.objects.insert(upload.key, object);
        xml(format!(
            "<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
        ))
    }

    pub(crate) fn list_uploads(&self, asked: &Asked<'_>) -> Message {
        let prefix = asked.query("prefix").unwrap_or_default();
        let after = asked.query("upload-id-marker").unwrap_or_default();
        let found = self.contents.uploads.iter();
        let found = found.filter(|(id, upload)| upload.key.starts_with(prefix) && &id[..] > after);
        let found: Vec<_> = found.collect();
        let mut text = String::from("<ListMultipartUploadsResult>");
        for (id, upload) in found.iter().take(PAGE) {
            let key = &upload.key;
            write!(
                text,
                "<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"
            )
            .unwrap();
        }
        if let Some((id, upload)) = found.iter().take(PAGE).next_back() {
            let key = &upload.key;
            write!(text, "<NextKeyMarker>{key}</NextKeyMarker>").unwrap();
            write!(text, "<NextUploadIdMarker>{id}</NextUploadIdMarker>").unwrap();
        }
        let is_more = found.len() > PAGE;
        write!(text, "<IsTruncated>{is_more}</IsTruncated>").unwrap();
        xml(text + "</ListMultipartUploadsResult>")
    }
}
