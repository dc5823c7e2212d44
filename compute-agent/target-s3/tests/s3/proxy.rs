//! A proxy between a target and a server that makes one request, or all from one on, go wrong.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tests_s3_server::error;
use tests_s3_server::http::{Message, invite_body, read_body, read_head};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server says so, and does nothing.
    Answer(u16, &'static str),
    /// The connection ends before the server has got the request.
    CutRequest,
    /// The server does it, and half of its answer arrives.
    CutAnswer,
    /// The server does it, and nothing of its answer arrives.
    LostAnswer,
    /// The server gets nothing and says nothing.
    Hang,
    /// The tag of what was sent is wrong.
    WrongTag,
}

/// Longer than who asks is willing to wait.
const HANG: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// The request it begins with, counted from 1.
    pub(crate) request: u64,
    /// How many requests it is.
    pub(crate) times: u64,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    server: SocketAddr,
    plan: Arc<Mutex<Option<Plan>>>,
    requests: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            server,
            plan: Arc::default(),
            requests: Arc::default(),
        };
        let serving = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    // Whoever it is for sees that the connection has ended.
                    drop(serving.serve(stream.try_clone().unwrap()));
                    drop(stream.shutdown(Shutdown::Both));
                });
            }
        });
        proxy
    }

    /// Counts requests anew.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        *self.plan.lock().unwrap() = plan;
        self.requests.store(0, Ordering::SeqCst);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut server = TcpStream::connect(self.server)?;
        server.set_nodelay(true)?;
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut from_server = BufReader::new(server.try_clone()?);
        while let Some(mut request) = read_head(&mut from_client)? {
            let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            let plan = *self.plan.lock().unwrap();
            let fault = plan
                .filter(|plan| (plan.request..plan.request + plan.times).contains(&number))
                .map(|plan| plan.fault);
            match fault {
                Some(Fault::CutRequest) => return Ok(()),
                Some(Fault::Hang) => {
                    thread::sleep(HANG);
                    return Ok(());
                }
                _ => {}
            }
            invite_body(&mut client, &request)?;
            read_body(&mut from_client, &mut request)?;
            if let Some(Fault::Answer(status, code)) = fault {
                let mut answer = error(status, code);
                let length = answer.body.len().to_string();
                answer.headers.push(("Content-Length".to_owned(), length));
                let is_head = request.method() == "HEAD";
                let body = if is_head { &[][..] } else { &answer.body };
                answer.write_to(&mut client, body)?;
                continue;
            }
            request.write_to(&mut server, &request.body)?;
            let mut answer = self.answer(&mut from_server, &request)?;
            let body = std::mem::take(&mut answer.body);
            match fault {
                Some(Fault::LostAnswer) => return Ok(()),
                Some(Fault::CutAnswer) => {
                    let whole = body.len();
                    answer.write_to(&mut client, body.get(..whole / 2).unwrap())?;
                    client.flush()?;
                    if whole > 0 {
                        return Ok(());
                    }
                }
                Some(Fault::WrongTag) => {
                    let tag = answer.headers.iter_mut();
                    let mut tag = tag.filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
                    if let Some((_, value)) = tag.next() {
                        *value = "\"00000000000000000000000000000000\"".to_owned();
                    }
                    answer.write_to(&mut client, &body)?;
                }
                _ => answer.write_to(&mut client, &body)?,
            }
        }
        Ok(())
    }

    fn answer(
        &self,
        from_server: &mut BufReader<TcpStream>,
        request: &Message,
    ) -> io::Result<Message> {
        loop {
            let head = read_head(from_server)?;
            let mut answer = head.ok_or(io::ErrorKind::UnexpectedEof)?;
            if answer.start.starts_with("HTTP/1.1 100") {
                continue;
            }
            let is_empty = request.method() == "HEAD" || answer.start.contains(" 204 ");
            if !is_empty {
                read_body(from_server, &mut answer)?;
            }
            return Ok(answer);
        }
    }
}
