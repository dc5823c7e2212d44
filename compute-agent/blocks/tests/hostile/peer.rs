//! The server's side of the protocol, message by message, on a thread.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
    time::Duration,
};

use agent_blocks::nbd::{ConnectOptions, Connection, NbdError};

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
pub(crate) const DISCONNECT: u16 = 2;
pub(crate) const FLUSH: u16 = 3;
pub(crate) const BLOCK_STATUS: u16 = 7;

/// HAS_FLAGS, SEND_FLUSH, SEND_DF.
pub(crate) const PLAIN: u16 = 1 | 4 | 128;

pub(crate) const DATA: u16 = 1;
pub(crate) const HOLE: u16 = 2;
pub(crate) const STATUS: u16 = 5;
pub(crate) const ERROR: u16 = 0x8001;
pub(crate) const ERROR_OFFSET: u16 = 0x8002;

pub(crate) struct Request {
    pub(crate) flags: u16,
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) payload: Vec<u8>,
}

/// What a scripted server offers.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) size: u64,
    pub(crate) flags: u16,
    pub(crate) structured: bool,
    pub(crate) context: Option<&'static str>,
    pub(crate) blocks: Option<(u32, u32)>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            size: 1 << 20,
            flags: PLAIN,
            structured: true,
            context: None,
            blocks: None,
        }
    }
}

pub(crate) struct Peer(pub(crate) UnixStream);

impl Peer {
    pub(crate) fn put(&mut self, parts: &[&[u8]]) {
        // The client may have hung up already: that is what some scripts provoke.
        self.0.write_all(&parts.concat()).unwrap_or_default();
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    fn take_vec(&mut self, length: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    pub(crate) fn greet(&mut self) {
        self.put(&[b"NBDMAGIC", b"IHAVEOPT", &3_u16.to_be_bytes()]);
        assert_eq!(self.take::<4>(), Some(3_u32.to_be_bytes()));
    }

    /// The next option and its payload.
    pub(crate) fn option(&mut self) -> Option<(u32, Vec<u8>)> {
        assert_eq!(&self.take::<8>()?, b"IHAVEOPT");
        let option = u32::from_be_bytes(self.take()?);
        let length = u32::from_be_bytes(self.take()?);
        Some((option, self.take_vec(length)?))
    }

    pub(crate) fn option_reply(&mut self, option: u32, kind: u32, payload: &[u8]) {
        let magic = 0x0003_e889_0455_65a9_u64.to_be_bytes();
        let length = (payload.len() as u32).to_be_bytes();
        self.put(&[
            &magic,
            &option.to_be_bytes(),
            &kind.to_be_bytes(),
            &length,
            payload,
        ]);
    }

    pub(crate) fn shake_hands(&mut self, offer: &Offer) {
        self.greet();
        while let Some((option, _)) = self.option() {
            match option {
                8 if offer.structured => self.option_reply(8, 1, &[]),
                10 => {
                    if let Some(context) = offer.context {
                        let payload = [&7_u32.to_be_bytes(), context.as_bytes()].concat();
                        self.option_reply(10, 4, &payload);
                    }
                    self.option_reply(10, 1, &[]);
                }
                7 => {
                    let export = [
                        &[0, 0][..],
                        &offer.size.to_be_bytes(),
                        &offer.flags.to_be_bytes(),
                    ];
                    self.option_reply(7, 3, &export.concat());
                    if let Some((minimum, maximum)) = offer.blocks {
                        let sizes = [minimum, minimum.max(4096), maximum].map(u32::to_be_bytes);
                        self.option_reply(7, 3, &[&[0, 3][..], &sizes.concat()].concat());
                    }
                    self.option_reply(7, 1, &[]);
                    return;
                }
                other => self.option_reply(other, 0x8000_0001, &[]),
            }
        }
    }

    /// The next request, unless none begins to arrive in time.
    pub(crate) fn request_within(&mut self, limit: Duration) -> Option<Request> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let magic = self.take();
        self.0.set_read_timeout(None).unwrap();
        self.request_after(magic?)
    }

    pub(crate) fn request(&mut self) -> Option<Request> {
        let magic = self.take()?;
        self.request_after(magic)
    }

    fn request_after(&mut self, magic: [u8; 4]) -> Option<Request> {
        assert_eq!(magic, 0x2560_9513_u32.to_be_bytes());
        let flags = u16::from_be_bytes(self.take()?);
        let command = u16::from_be_bytes(self.take()?);
        let cookie = u64::from_be_bytes(self.take()?);
        let offset = u64::from_be_bytes(self.take()?);
        let length = u32::from_be_bytes(self.take()?);
        let payload = if command == WRITE {
            self.take_vec(length)?
        } else {
            Vec::new()
        };
        Some(Request {
            flags,
            command,
            cookie,
            offset,
            length,
            payload,
        })
    }

    pub(crate) fn simple(&mut self, cookie: u64, errno: u32, payload: &[u8]) {
        let magic = 0x6744_6698_u32.to_be_bytes();
        self.put(&[&magic, &errno.to_be_bytes(), &cookie.to_be_bytes(), payload]);
    }

    pub(crate) fn chunk(&mut self, cookie: u64, kind: u16, is_done: bool, payload: &[&[u8]]) {
        let payload = payload.concat();
        self.chunk_head(cookie, kind, is_done, payload.len() as u32);
        self.put(&[&payload]);
    }

    pub(crate) fn chunk_head(&mut self, cookie: u64, kind: u16, is_done: bool, length: u32) {
        let magic = 0x668e_33ef_u32.to_be_bytes();
        let flags = u16::from(is_done).to_be_bytes();
        let cookie = cookie.to_be_bytes();
        self.put(&[
            &magic,
            &flags,
            &kind.to_be_bytes(),
            &cookie,
            &length.to_be_bytes(),
        ]);
    }

    /// Keeps the connection open until the client hangs up.
    pub(crate) fn wait_for_the_end(&mut self) {
        while matches!(self.0.read(&mut [0; 1024]), Ok(1..)) {}
    }
}

/// A limit that a test can wait for.
pub(crate) const LIMIT: Duration = Duration::from_millis(300);

/// A limit that an honest script never comes near, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a server that runs `script` from its first byte on.
pub(crate) fn connect<F>(
    contexts: &[&str],
    limit: Duration,
    script: F,
) -> Result<Connection, NbdError>
where
    F: FnOnce(&mut Peer) + Send + 'static,
{
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || script(&mut Peer(theirs)));
    let options = ConnectOptions {
        contexts: contexts
            .iter()
            .map(|context| (*context).to_owned())
            .collect(),
        handshake_timeout: limit,
        ..ConnectOptions::default()
    };
    Connection::over(ours, &options)
}

/// A connection to a server that shakes hands well and then runs `script`.
pub(crate) fn connected<F>(
    offer: Offer,
    io_timeout: Duration,
    script: F,
) -> (Connection, JoinHandle<()>)
where
    F: FnOnce(&mut Peer) + Send + 'static,
{
    let (ours, theirs) = UnixStream::pair().unwrap();
    let contexts = offer.context.into_iter().map(str::to_owned).collect();
    let server = thread::spawn(move || {
        let mut peer = Peer(theirs);
        peer.shake_hands(&offer);
        script(&mut peer);
    });
    let options = ConnectOptions {
        contexts,
        io_timeout,
        ..ConnectOptions::default()
    };
    (Connection::over(ours, &options).unwrap(), server)
}
