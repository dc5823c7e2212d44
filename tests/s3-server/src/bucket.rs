//! Objects, and which request is for what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::answers::{between, bytes_of, empty, error, tag, with, xml};
use crate::http::Message;
use crate::server::Habits;
use crate::uploads::Upload;

/// Small, so that tests see more than one page.
pub(crate) const PAGE: usize = 3;

/// What is kept.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// By key.
    pub objects: BTreeMap<String, Object>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) habits: Habits,
    pub(crate) contents: Contents,
    pub(crate) counter: u64,
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) received: u64,
}

/// An object and what the server knows of it.
#[derive(Debug, Clone)]
pub struct Object {
    /// Content.
    pub bytes: Arc<Vec<u8>>,
    pub(crate) etag: String,
    pub(crate) writer: Option<String>,
}

/// A request for the bucket or something in it.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Message,
    pub(crate) key: String,
    pub(crate) query: Vec<(String, String)>,
}

impl Asked<'_> {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> &str {
        std::str::from_utf8(&self.request.body).unwrap()
    }
}

impl State {
    pub(crate) fn answer(&mut self, asked: &Asked<'_>) -> Message {
        let method = asked.request.method();
        let has = |name| asked.query(name).is_some();
        let what = match method {
            "PUT" if asked.request.header("x-amz-copy-source").is_some() => "copy",
            "PUT" if has("uploadId") => "part",
            "GET" if has("uploadId") => "parts",
            "POST" if has("uploadId") => "complete",
            "DELETE" if has("uploadId") => "upload",
            "POST" if has("uploads") => "begin",
            "GET" if has("uploads") => "uploads",
            "POST" if has("delete") => "batch",
            "GET" if has("list-type") => "list",
            "GET" if has("versioning") => "versioning",
            "GET" if has("object-lock") => "lock",
            "HEAD" if asked.key.is_empty() => "bucket",
            _ => "object",
        };
        *self.requests.entry(format!("{method} {what}")).or_default() += 1;
        self.received += asked.request.body.len() as u64;
        match (method, what) {
            ("PUT", "part" | "copy") => self.put_part(asked),
            ("GET", "parts") => self.list_parts(asked),
            ("POST", "complete") => self.complete(asked),
            ("DELETE", "upload") => match self
                .contents
                .uploads
                .remove(asked.query("uploadId").unwrap())
            {
                Some(_) => empty(204),
                None => error(404, "NoSuchUpload"),
            },
            ("POST", "begin") => self.begin(asked),
            ("GET", "uploads") => self.list_uploads(asked),
            ("POST", "batch") => self.delete_batch(asked),
            ("GET", "list") => self.list(asked),
            ("GET", "versioning") => xml("<VersioningConfiguration/>".to_owned()),
            ("GET", "lock") => error(404, "ObjectLockConfigurationNotFoundError"),
            ("HEAD", "bucket") => empty(200),
            ("PUT", _) => self.put(asked),
            ("GET" | "HEAD", _) => self.get(asked),
            ("DELETE", _) => {
                self.contents.objects.remove(&asked.key);
                empty(204)
            }
            _ => error(501, "NotImplemented"),
        }
    }

    fn put(&mut self, asked: &Asked<'_>) -> Message {
        let etag = tag(&asked.request.body);
        let object = Object {
            bytes: Arc::new(asked.request.body.clone()),
            etag: etag.clone(),
            writer: None,
        };
        self.contents.objects.insert(asked.key.clone(), object);
        with(empty(200), "ETag", &etag)
    }

    fn get(&self, asked: &Asked<'_>) -> Message {
        let Some(object) = self.contents.objects.get(&asked.key) else {
            return error(404, "NoSuchKey");
        };
        let condition = asked.request.header("if-match");
        if condition.is_some_and(|etag| etag != object.etag) {
            return error(412, "PreconditionFailed");
        }
        let mut answer = match asked.request.header("range").map(bytes_of) {
            None => Message {
                body: object.bytes.to_vec(),
                ..empty(200)
            },
            Some((from, to)) => match object.bytes.get(from..=to) {
                Some(bytes) => Message {
                    body: bytes.to_vec(),
                    ..empty(206)
                },
                None => return error(416, "InvalidRange"),
            },
        };
        if let Some(writer) = &object.writer {
            answer = with(answer, "x-amz-meta-backstay-writer", writer);
        }
        with(answer, "ETag", &object.etag)
    }

    fn list(&self, asked: &Asked<'_>) -> Message {
        let prefix = asked.query("prefix").unwrap_or_default();
        let after = asked.query("continuation-token").unwrap_or_default();
        let found = self.contents.objects.iter();
        let found = found.filter(|(key, _)| key.starts_with(prefix) && &key[..] > after);
        let found: Vec<_> = found.collect();
        let mut text = String::from("<ListBucketResult>");
        for (key, object) in found.iter().take(PAGE) {
            let size = object.bytes.len();
            write!(
                text,
                "<Contents><Key>{key}</Key><Size>{size}</Size></Contents>"
            )
            .unwrap();
        }
        let is_more = found.len() > PAGE;
        if let (true, Some((key, _))) = (is_more, found.get(PAGE - 1)) {
            write!(text, "<NextContinuationToken>{key}</NextContinuationToken>").unwrap();
        }
        xml(format!(
            "{text}<IsTruncated>{is_more}</IsTruncated></ListBucketResult>"
        ))
    }

    fn delete_batch(&mut self, asked: &Asked<'_>) -> Message {
        if self.habits.has_no_batch_delete {
            return error(501, "NotImplemented");
        }
        if asked.request.header("content-md5").is_none() {
            return error(400, "InvalidRequest");
        }
        for key in between(asked.body(), "<Key>", "</Key>") {
            self.contents.objects.remove(key);
        }
        xml("<DeleteResult/>".to_owned())
    }
}
