use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{ServedDisk, options, session};
use crate::nbd::socket::{Address, Socket};

/// Clients at a time; one more is not answered.
const MOST_CLIENTS: usize = 64;
/// For the handshake, and then for the rest of a request that has begun.
const PATIENCE: Duration = Duration::from_secs(30);

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }
}

/// A server at work; it ends when this is dropped. Conversations under way go on until their clients end
/// them, or the program.
pub struct Listening {
    address: Address,
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Serves `disk` as the export `export` at `HOST:PORT` (0: any free one) or, if there is a slash in it
/// or no colon, on a new unix socket of that path.
pub fn serve(disk: Arc<dyn ServedDisk>, export: &str, at: &str) -> io::Result<Listening> {
    let is_path = at.contains('/') || !at.contains(':');
    let (listener, address) = if is_path {
        let path = PathBuf::from(at);
        let listener = UnixListener::bind(&path)?;
        (Listener::Unix(listener), Address::Unix(path))
    } else {
        let listener = TcpListener::bind(at)?;
        let address = listener.local_addr()?.to_string();
        (Listener::Tcp(listener), Address::Tcp(address))
    };
    let has_ended = Arc::new(AtomicBool::new(false));
    let (ended, export) = (has_ended.clone(), export.to_owned());
    let thread = std::thread::spawn(move || accept_all(&listener, &disk, &export, &ended));
    Ok(Listening {
        address,
        has_ended,
        thread: Some(thread),
    })
}

impl Listening {
    /// `HOST:PORT` of a server over TCP.
    pub fn tcp_address(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp(address) => Some(address),
            Address::Unix(_) => None,
        }
    }

    /// The path of a unix socket.
    pub fn socket(&self) -> Option<&Path> {
        match &self.address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
        // Whoever accepts looks around at the next client: be that.
        let woken = match &self.address {
            Address::Unix(path) => {
                let woken = UnixStream::connect(path).map(drop);
                drop(std::fs::remove_file(path));
                woken
            }
            Address::Tcp(address) => TcpStream::connect(address).map(drop),
        };
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            drop(thread.join());
        }
    }
}

fn accept_all(
    listener: &Listener,
    disk: &Arc<dyn ServedDisk>,
    export: &str,
    has_ended: &AtomicBool,
) {
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        if has_ended.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok(socket) if clients.load(Ordering::SeqCst) < MOST_CLIENTS => {
                let guest = Guest::enter(&clients);
                let (disk, export) = (disk.clone(), export.to_owned());
                std::thread::spawn(move || {
                    let _guest = guest;
                    if let Err(error) = talk(disk.as_ref(), &export, socket) {
                        tracing::debug!("an NBD client is gone: {error}");
                    }
                });
            }
            Ok(_) => tracing::warn!("{MOST_CLIENTS} NBD clients are enough: one more is refused"),
            // Out of descriptors, or the client went at once: the next one may do better.
            Err(error) => {
                tracing::warn!("cannot accept an NBD client: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Counts a client for as long as it is there.
struct Guest(Arc<AtomicUsize>);

impl Guest {
    fn enter(clients: &Arc<AtomicUsize>) -> Self {
        clients.fetch_add(1, Ordering::SeqCst);
        Self(clients.clone())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn talk(disk: &dyn ServedDisk, export: &str, socket: Socket) -> io::Result<()> {
    // A read or a write that takes longer ends the conversation; only between requests a client may
    // be silent for as long as it likes.
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut writer = socket.try_clone()?;
    let mut reader = BufReader::with_capacity(4096, socket);
    let agreed = options::negotiate(disk.size_bytes(), export, &mut reader, &mut writer)?;
    let Some(agreed) = agreed else { return Ok(()) };
    reader.get_ref().set_read_timeout(None)?;
    session::run(disk, agreed, &mut reader, &mut writer)
}
