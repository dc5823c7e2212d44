//! A small S3 server in memory. It checks what real servers are strict about and ours must keep to:
//! the least size of parts, their tags, and that no part is left out (as Ceph does).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use md5::{Digest, Md5};

use crate::http::{Message, invite_body, read_body, read_head};

pub(crate) const BUCKET: &str = "backups";
const LEAST_PART: usize = 5 << 20;
/// Small, so that tests see more than one page.
const PAGE: usize = 3;

/// What a server may be like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habits {
    /// Objects are deleted one by one.
    pub(crate) has_no_batch_delete: bool,
    /// It says that it is Swift, and takes this many parts.
    pub(crate) swift_parts: Option<u64>,
    /// It is Swift, and does not say what it takes.
    pub(crate) is_silent_swift: bool,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    habits: Habits,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    counter: u64,
    requests: BTreeMap<String, u64>,
    received: u64,
}

#[derive(Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    etag: String,
    writer: Option<String>,
}

struct Upload {
    key: String,
    writer: Option<String>,
    parts: BTreeMap<i32, (Vec<u8>, String)>,
}

impl Server {
    pub(crate) fn start(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                habits,
                ..State::default()
            })),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        server
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// All keys, hidden ones too.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub(crate) fn uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    /// How often something was asked for, as `PUT part`.
    pub(crate) fn requests(&self, what: &str) -> u64 {
        self.lock().requests.get(what).copied().unwrap_or_default()
    }

    /// Bytes of all bodies.
    pub(crate) fn received(&self) -> u64 {
        self.lock().received
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(mut request) = read_head(&mut reader)? {
            invite_body(&mut stream, &request)?;
            read_body(&mut reader, &mut request)?;
            let mut answer = self.answer(&request);
            let length = answer.body.len().to_string();
            answer.headers.push(("Content-Length".to_owned(), length));
            let body: &[u8] = if request.method() == "HEAD" {
                &[]
            } else {
                &answer.body
            };
            answer.write_to(&mut stream, body)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Message) -> Message {
        let (path, query) = request.target();
        let mut state = self.lock();
        if path == "/info" && request.header("authorization").is_none() {
            return match state.habits.swift_parts {
                Some(parts) => xml(format!(
                    r#"{{"swift": {{}}, "s3api": {{"max_upload_part_num": {parts}}}}}"#
                )),
                None => {
                    let mut refusal = error(403, "AccessDenied");
                    if state.habits.is_silent_swift {
                        let id = ("X-Trans-Id".to_owned(), "tx1".to_owned());
                        refusal.headers.push(id);
                    }
                    refusal
                }
            };
        }
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return error(404, "NoSuchBucket");
        }
        let asked = Asked {
            request,
            key: key.to_owned(),
            query,
        };
        state.answer(&asked)
    }
}

struct Asked<'a> {
    request: &'a Message,
    key: String,
    query: Vec<(String, String)>,
}

impl Asked<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn body(&self) -> &str {
        std::str::from_utf8(&self.request.body).unwrap()
    }
}

impl State {
    fn answer(&mut self, asked: &Asked<'_>) -> Message {
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
            ("DELETE", "upload") => match self.uploads.remove(asked.query("uploadId").unwrap()) {
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
                self.objects.remove(&asked.key);
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
        self.objects.insert(asked.key.clone(), object);
        with(empty(200), "ETag", &etag)
    }

    fn get(&self, asked: &Asked<'_>) -> Message {
        let Some(object) = self.objects.get(&asked.key) else {
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

    fn begin(&mut self, asked: &Asked<'_>) -> Message {
        self.counter += 1;
        let id = format!("upload-{}", self.counter);
        let writer = asked.request.header("x-amz-meta-backstay-writer");
        let upload = Upload {
            key: asked.key.clone(),
            writer: writer.map(str::to_owned),
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn put_part(&mut self, asked: &Asked<'_>) -> Message {
        let number = asked.query("partNumber").unwrap().parse().unwrap();
        if asked.request.header("content-length").is_none() {
            return error(411, "MissingContentLength");
        }
        let copied = asked.request.header("x-amz-copy-source").map(|source| {
            let key = crate::http::decode(source.trim_start_matches('/'));
            let key = key.strip_prefix(&format!("{BUCKET}/")).unwrap().to_owned();
            let range = asked.request.header("x-amz-copy-source-range").unwrap();
            let (from, to) = bytes_of(range);
            let object = self.objects.get(&key)?;
            Some(object.bytes.get(from..=to)?.to_vec())
        });
        let bytes = match &copied {
            None => asked.request.body.clone(),
            Some(Some(bytes)) => bytes.clone(),
            Some(None) => return error(404, "NoSuchKey"),
        };
        let Some(upload) = self.uploads.get_mut(asked.query("uploadId").unwrap()) else {
            return error(404, "NoSuchUpload");
        };
        let etag = tag(&bytes);
        upload.parts.insert(number, (bytes, etag.clone()));
        if copied.is_some() {
            return xml(format!(
                "<CopyPartResult><ETag>{etag}</ETag></CopyPartResult>"
            ));
        }
        with(empty(200), "ETag", &etag)
    }

    fn list_parts(&self, asked: &Asked<'_>) -> Message {
        let Some(upload) = self.uploads.get(asked.query("uploadId").unwrap()) else {
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

    fn complete(&mut self, asked: &Asked<'_>) -> Message {
        let id = asked.query("uploadId").unwrap();
        let Some(upload) = self.uploads.get(id) else {
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
            bytes.extend(stored);
        }
        let upload = self.uploads.remove(id).unwrap();
        let etag = format!("\"{}-{}\"", tag(&bytes).trim_matches('"'), named.len());
        let object = Object {
            bytes: Arc::new(bytes),
            etag: etag.clone(),
            writer: upload.writer,
        };
        self.objects.insert(upload.key, object);
        xml(format!(
            "<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
        ))
    }

    fn list_uploads(&self, asked: &Asked<'_>) -> Message {
        let prefix = asked.query("prefix").unwrap_or_default();
        let after = asked.query("upload-id-marker").unwrap_or_default();
        let found = self.uploads.iter();
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

    fn list(&self, asked: &Asked<'_>) -> Message {
        let prefix = asked.query("prefix").unwrap_or_default();
        let after = asked.query("continuation-token").unwrap_or_default();
        let found = self.objects.iter();
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
            self.objects.remove(key);
        }
        xml("<DeleteResult/>".to_owned())
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let pieces = text.split(from).skip(1);
    pieces
        .map(|piece| piece.split(to).next().unwrap())
        .collect()
}

/// `bytes=3-7`.
fn bytes_of(range: &str) -> (usize, usize) {
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    (from.parse().unwrap(), to.parse().unwrap())
}

fn tag(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in Md5::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text + "\""
}

fn empty(status: u16) -> Message {
    Message {
        start: format!("HTTP/1.1 {status} So"),
        ..Message::default()
    }
}

fn with(mut answer: Message, name: &str, value: &str) -> Message {
    answer.headers.push((name.to_owned(), value.to_owned()));
    answer
}

fn xml(text: String) -> Message {
    Message {
        body: text.into_bytes(),
        ..empty(200)
    }
}

pub(crate) fn error(status: u16, code: &str) -> Message {
    let text = format!("<Error><Code>{code}</Code><Message>of a test</Message></Error>");
    Message {
        body: text.into_bytes(),
        ..empty(status)
    }
}
