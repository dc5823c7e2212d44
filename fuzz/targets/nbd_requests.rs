//! What an NBD client says to our server, from its first byte on: it gets the disk and nothing else, and no more
//! of it than it asked for.
#![no_main]

use std::io;

use agent_blocks::nbd::server::{ServedDisk, converse};
use libfuzzer_sys::fuzz_target;

const SIZE: u64 = 65_636;
/// Data and holes in turns, and a length that is no whole sector.
const RUN: u64 = 4_096;
/// The shortest thing that is answered, an option without data.
const MESSAGE: u64 = 16;
/// The longest answer to one: the whole disk, a head to each run, words.
const ANSWER: u64 = SIZE + (SIZE / RUN + 2) * 32 + 512;

struct Disk;

impl ServedDisk for Disk {
    fn size_bytes(&self) -> u64 {
        SIZE
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        assert!(offset + buffer.len() as u64 <= SIZE);
        buffer.fill(1);
        Ok(())
    }

    fn extent_at(&self, offset: u64, length: u64) -> io::Result<(u64, bool)> {
        assert!(length > 0 && offset + length <= SIZE);
        let same = (RUN - offset % RUN).min(length);
        Ok((same, offset / RUN % 2 == 1))
    }
}

/// How much the client was told.
struct Told(u64);

impl io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut told = Told(0);
    let mut reader = bytes;
    // An error is one of the two ways in which a conversation ends.
    drop(converse(&Disk, "disk", &mut reader, &mut told));
    let messages = bytes.len() as u64 / MESSAGE + 1;
    assert!(told.0 <= messages * ANSWER, "{} bytes", told.0);
});
