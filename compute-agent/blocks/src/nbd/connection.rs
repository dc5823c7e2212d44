//! One connection with many requests in flight.
//!
//! Sending and waiting are apart: send some, then wait for any of them by its cookie. Answers that
//! come in between are kept. A request that the server answers with an error leaves the connection
//! usable; a lost, late or lying server does not.

use std::{
    io::{BufReader, Write},
    time::Duration,
};

use super::{
    error::{Fault, NbdError},
    export::Export,
    handshake::negotiate,
    pending::{Pending, Reply},
    protocol::*,
    reply::receive,
    socket::{Address, Socket},
    stream::TimedStream,
};

/// What to agree on with a server.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The export's name; empty for the default one.
    pub export_name: String,
    /// Contexts for block status, such as `base:allocation` or `qemu:dirty-bitmap:NAME`.
    pub contexts: Vec<String>,
    /// For the whole handshake.
    pub handshake_timeout: Duration,
    /// Until a request must be answered.
    pub io_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            export_name: String::new(),
            contexts: Vec::new(),
            handshake_timeout: Duration::from_secs(60),
            io_timeout: Duration::from_secs(300),
        }
    }
}

/// How zeroes may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZeroOptions {
    /// Keep the range allocated.
    pub no_hole: bool,
    /// Fail (errno 95) rather than write zeroes out one by one.
    pub fast_only: bool,
}

/// Names a request of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cookie(u64);

/// See the module's head.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TimedStream>,
    writer: TimedStream,
    export: Export,
    pending: Pending,
    io_timeout: Duration,
    next_cookie: u64,
    is_given_up: bool,
}

impl Connection {
    pub(super) fn connect(address: &Address, options: &ConnectOptions) -> Result<Self, NbdError> {
        let refused = |source| NbdError::Connect {
            address: address.to_string(),
            source,
        };
        let socket = address.connect(options.handshake_timeout);
        Self::over(socket.map_err(refused)?, options)
    }

    /// Speaks with a server at the other end of `stream`.
    pub fn over(stream: impl Into<Socket>, options: &ConnectOptions) -> Result<Self, NbdError> {
        let unusable = |source| NbdError::Handshake {
            step: "the socket",
            source,
        };
        let timed = TimedStream::new(stream.into(), options.handshake_timeout).map_err(unusable)?;
        let mut writer = timed.try_clone().map_err(unusable)?;
        let mut reader = BufReader::with_capacity(4096, timed);
        let export = negotiate(
            &mut reader,
            &mut writer,
            &options.export_name,
            &options.contexts,
        )?;
        let io_timeout = options.io_timeout;
        reader.get_mut().set_limit(io_timeout);
        writer.set_limit(io_timeout);
        let pending = Pending::default();
        Ok(Self {
            reader,
            writer,
            export,
            pending,
            io_timeout,
            next_cookie: 1,
            is_given_up: false,
        })
    }

    /// What the server offers.
    pub fn export(&self) -> &Export {
        &self.export
    }

    /// Asks for bytes. `fragments` lets the server answer in pieces and tell holes apart, for which
    /// qemu looks up the block status of every read.
    pub fn send_read(
        &mut self,
        offset: u64,
        length: u32,
        fragments: bool,
    ) -> Result<Cookie, NbdError> {
        let in_one = !fragments && self.export.structured && self.export.flags.has_dont_fragment();
        let flags = if in_one { FLAG_DONT_FRAGMENT } else { 0 };
        let operation = Operation {
            command: Command::Read,
            offset,
            length,
        };
        self.send(operation, flags, &[])
    }

    /// Hands bytes over.
    pub fn send_write(&mut self, offset: u64, bytes: &[u8]) -> Result<Cookie, NbdError> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.send(
            Operation {
                command: Command::Write,
                offset,
                length,
            },
            0,
            bytes,
        )
    }

    /// Asks for a range to read as zeroes from now on.
    pub fn send_zeroes(
        &mut self,
        offset: u64,
        length: u32,
        options: ZeroOptions,
    ) -> Result<Cookie, NbdError> {
        let operation = Operation {
            command: Command::WriteZeroes,
            offset,
            length,
        };
        let mut flags = 0;
        if options.no_hole {
            flags |= FLAG_NO_HOLE;
        }
        if options.fast_only {
            self.require(
                self.export.flags.has_fast_zero(),
                operation,
                "no fast zeroes",
            )?;
            flags |= FLAG_FAST_ZERO;
        }
        self.require(self.export.flags.has_write_zeroes(), operation, "no zeroes")?;
        self.send(operation, flags, &[])
    }

    /// Tells that a range is not needed any more.
    pub fn send_trim(&mut self, offset: u64, length: u32) -> Result<Cookie, NbdError> {
        let operation = Operation {
            command: Command::Trim,
            offset,
            length,
        };
        self.require(self.export.flags.has_trim(), operation, "no trim")?;
        self.send(operation, 0, &[])
    }

    /// Asks for all that was answered so far to be put on stable storage.
    pub fn send_flush(&mut self) -> Result<Cookie, NbdError> {
        let operation = Operation {
            command: Command::Flush,
            offset: 0,
            length: 0,
        };
        self.require(self.export.flags.has_flush(), operation, "no flush")?;
        self.send(operation, 0, &[])
    }

    /// Asks for the state of a range in all granted contexts. The answer may cover less.
    pub fn send_block_status(&mut self, offset: u64, length: u32) -> Result<Cookie, NbdError> {
        let operation = Operation {
            command: Command::BlockStatus,
            offset,
            length,
        };
        self.require(
            !self.export.contexts.is_empty(),
            operation,
            "no context was granted",
        )?;
        self.send(operation, 0, &[])
    }

    /// Waits for the answer to one request, once.
    pub fn wait(&mut self, cookie: Cookie) -> Result<Reply, NbdError> {
        self.reader.get_mut().restart();
        loop {
            if let Some(result) = self.pending.take_finished(cookie.0) {
                return result;
            }
            let Some(operation) = self.pending.operation(cookie.0) else {
                let operation = Operation {
                    command: Command::Disconnect,
                    offset: 0,
                    length: 0,
                };
                let problem = format!("request {} is not open", cookie.0);
                return Err(NbdError::Invalid { operation, problem });
            };
            if self.is_given_up {
                return Err(NbdError::GivenUp { operation });
            }
            match receive(&mut self.reader, &mut self.pending, self.export.structured) {
                Ok(None) => {}
                Ok(Some(_)) => self.reader.get_mut().restart(),
                Err(fault) => return Err(self.give_up(operation, fault)),
            }
        }
    }

    /// Lets go of a request whose answer nobody waits for any more.
    pub fn forget(&mut self, cookie: Cookie) {
        self.pending.forget(cookie.0);
    }

    fn send(
        &mut self,
        operation: Operation,
        flags: u16,
        payload: &[u8],
    ) -> Result<Cookie, NbdError> {
        self.check(operation)?;
        if self.is_given_up {
            return Err(NbdError::GivenUp { operation });
        }
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let head = operation.request(flags, cookie);
        self.writer.restart();
        let sent = self
            .writer
            .write_all(&head)
            .and_then(|()| self.writer.write_all(payload));
        if let Err(error) = sent {
            return Err(self.give_up(operation, Fault::Io(error)));
        }
        self.pending.insert(cookie, operation);
        Ok(Cookie(cookie))
    }

    fn check(&self, operation: Operation) -> Result<(), NbdError> {
        let Operation {
            command,
            offset,
            length,
        } = operation;
        if matches!(command, Command::Flush | Command::Disconnect) {
            return Ok(());
        }
        let export = &self.export;
        let end = offset.checked_add(u64::from(length));
        let is_within = end.is_some_and(|end| end <= export.size_bytes);
        self.require(length > 0, operation, "the range is empty")?;
        self.require(is_within, operation, "the range leaves the disk")?;
        let block = u64::from(export.block_sizes.minimum);
        let is_aligned = offset % block == 0
            && (u64::from(length) % block == 0 || end == Some(export.size_bytes));
        self.require(is_aligned, operation, "the server wants larger blocks")?;
        let carries = matches!(command, Command::Read | Command::Write);
        let is_small = !carries || length <= export.block_sizes.maximum;
        self.require(is_small, operation, "more than the server takes at once")?;
        let writes = matches!(
            command,
            Command::Write | Command::WriteZeroes | Command::Trim
        );
        self.require(
            !(writes && export.flags.is_read_only()),
            operation,
            "read-only export",
        )
    }

    fn require(&self, holds: bool, operation: Operation, problem: &str) -> Result<(), NbdError> {
        if holds {
            return Ok(());
        }
        Err(NbdError::Invalid {
            operation,
            problem: problem.to_owned(),
        })
    }

    fn give_up(&mut self, operation: Operation, fault: Fault) -> NbdError {
        self.is_given_up = true;
        match fault {
            Fault::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => NbdError::Timeout {
                operation,
                limit: self.io_timeout,
            },
            Fault::Io(source) => NbdError::Lost { operation, source },
            Fault::Protocol(problem) => NbdError::Protocol {
                during: format!("waiting to {operation}"),
                problem,
            },
        }
    }
}

impl Drop for Connection {
    /// A server that is told goes at once; one that is not told notices the closed socket.
    fn drop(&mut self) {
        if self.is_given_up {
            return;
        }
        let bye = Operation {
            command: Command::Disconnect,
            offset: 0,
            length: 0,
        };
        self.writer.set_limit(Duration::from_secs(1));
        if let Err(error) = self.writer.write_all(&bye.request(0, 0)) {
            tracing::debug!(%error, "the NBD server was gone before the connection was closed");
        }
    }
}
