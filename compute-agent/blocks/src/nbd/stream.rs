//! A socket on which no wait is without an end.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use super::socket::Socket;

/// Both directions give up at the deadline. A peer that drips single bytes cannot move it: only
/// [`TimedStream::restart`] does, which is called when something is finished.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: Socket,
    limit: Duration,
    deadline: Instant,
}

impl TimedStream {
    pub(super) fn new(stream: Socket, limit: Duration) -> io::Result<Self> {
        // The kernel reads zero as "for ever".
        let limit = limit.max(Duration::from_millis(1));
        Ok(Self {
            stream,
            limit,
            deadline: Instant::now() + limit,
        })
    }

    /// A second handle to the same socket, with a deadline of its own.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Self::new(self.stream.try_clone()?, self.limit)
    }

    pub(super) fn restart(&mut self) {
        self.deadline = Instant::now() + self.limit;
    }

    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit.max(Duration::from_millis(1));
        self.restart();
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(left)
        }
    }
}

fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
