//! Connections, and what is asked of the server rather than of its bucket.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use crate::answers::{error, xml};
use crate::bucket::{Asked, Contents, State};
use crate::http::{Message, invite_body, read_body, read_head};
use crate::pause::Pause;

/// The one there is.
pub const BUCKET: &str = "backups";

/// What a server may be like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Objects are deleted one by one.
    pub has_no_batch_delete: bool,
    /// It says that it is Swift, and takes this many parts.
    pub swift_parts: Option<u64>,
    /// It is Swift, and does not say what it takes.
    pub is_silent_swift: bool,
}

/// Serves until the process ends; clones are the same server.
#[derive(Clone)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// How many connections there are.
    connected: Arc<(Mutex<usize>, Condvar)>,
    pause: Arc<Pause>,
}

impl Server {
    /// Returns when it listens.
    pub fn start(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                habits,
                ..State::default()
            })),
            connected: Arc::default(),
            pause: Arc::default(),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                serving.count(|connected| connected + 1);
                thread::spawn(move || {
                    // A client that goes in the middle of something is no failure of ours.
                    drop(serving.serve(stream.unwrap()));
                    serving.count(|connected| connected - 1);
                });
            }
        });
        server
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// All keys, hidden ones too.
    pub fn keys(&self) -> Vec<String> {
        self.lock().contents.objects.keys().cloned().collect()
    }

    /// What the bucket holds, unfinished uploads included. Cheap: the bytes are shared.
    pub fn contents(&self) -> Contents {
        self.lock().contents.clone()
    }

    /// Puts the bucket back to what it held then.
    pub fn reset(&self, contents: Contents) {
        self.lock().contents = contents;
    }

    /// Writes all objects below an empty folder, hidden ones too.
    pub fn download(&self, to: &Path) {
        for (key, object) in self.contents().objects {
            let file = to.join(key);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, &*object.bytes).unwrap();
        }
    }

    /// How the section of a configuration file says that this is the target, in several parts an image.
    pub fn section(&self) -> String {
        format!(
            "type = s3\nendpoint_url = http://{}\nbucket = {BUCKET}\naccess_key_id = k\n\
             secret_access_key = s\npart_size_mib = 5\nparts_in_flight = 3\n",
            self.address
        )
    }

    /// After so many more changes none is made any more, until [`Server::resume`]; what only reads is served.
    pub fn pause_after(&self, changes: u64) {
        self.pause.after(changes);
    }

    /// Whether somebody waits because of it.
    pub fn is_pausing(&self) -> bool {
        self.pause.is_felt()
    }

    /// Who waits is hung up on; nothing of it is done. Later requests are served.
    pub fn resume(&self) {
        self.pause.end();
    }

    /// Returns when nothing is done any more for clients that are gone, though they may have asked for it.
    pub fn settle(&self) {
        let mut last = TcpStream::connect(self.address).unwrap();
        last.write_all(b"GET /info HTTP/1.1\r\n\r\n").unwrap();
        // Answered, so all connections before it are known.
        read_head(&mut BufReader::new(last)).unwrap();
        let (connected, has_changed) = &*self.connected;
        let left = connected.lock().unwrap();
        drop(has_changed.wait_while(left, |left| *left > 0).unwrap());
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let (connected, has_changed) = &*self.connected;
        let mut now = connected.lock().unwrap();
        *now = change(*now);
        has_changed.notify_all();
    }

    /// How many were begun and neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        self.lock().contents.uploads.len()
    }

    /// How often something was asked for, as `PUT part`.
    pub fn requests(&self, what: &str) -> u64 {
        self.lock().requests.get(what).copied().unwrap_or_default()
    }

    /// Bytes of all bodies.
    pub fn received(&self) -> u64 {
        self.lock().received
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(mut request) = read_head(&mut reader)? {
            invite_body(&mut stream, &request)?;
            read_body(&mut reader, &mut request)?;
            let is_read = ["GET", "HEAD"].contains(&request.method());
            let Some(mut answer) = self.pause.pass(!is_read, || self.answer(&request)) else {
                return Ok(());
            };
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
