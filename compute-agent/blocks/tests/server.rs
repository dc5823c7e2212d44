//! The NBD server and clients that mean it no good.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and knows its numbers"
)]

use std::io::{self, Cursor, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use agent_blocks::nbd::server::{ServedDisk, converse, serve};
use agent_blocks::nbd::{ConnectOptions, Connection, Endpoint, Reply};
use agent_blocks::{Chunk, Extent, ExtentKind, MapDisk, NbdSource, ReadDisk, ReadPlan, Settings};
use proptest::prelude::*;

const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REQUEST_MAGIC: u32 = 0x2560_9513;

/// Zero in every other 64 KiB.
struct Striped(Vec<u8>);

const STRIPE: u64 = 1 << 16;

impl Striped {
    fn new(length: usize) -> Self {
        let byte = |at: usize| match at >> 16 & 1 {
            0 => (at * 31 % 251) as u8 | 1,
            _ => 0,
        };
        Self((0..length).map(byte).collect())
    }
}

impl ServedDisk for Striped {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&self.0[start..start + buffer.len()]);
        Ok(())
    }

    fn extent_at(&self, offset: u64, length: u64) -> io::Result<(u64, bool)> {
        let left = STRIPE - offset % STRIPE;
        Ok((left.min(length), offset / STRIPE % 2 == 1))
    }
}

/// What the server says to these bytes; it must come to an end by itself.
fn say(bytes: &[u8]) -> (io::Result<()>, Vec<u8>) {
    let disk = Striped::new(300_000);
    let mut told = Vec::new();
    let result = converse(&disk, "disk", &mut Cursor::new(bytes), &mut told);
    (result, told)
}

fn option(number: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = OPTION_MAGIC.to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn request(flags: u16, command: u16, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = REQUEST_MAGIC.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(command.to_be_bytes());
    bytes.extend(7u64.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// A handshake up to the transmission, with structured replies and the context or not.
fn hello(is_structured: bool) -> Vec<u8> {
    let mut bytes = 3u32.to_be_bytes().to_vec();
    if is_structured {
        bytes.extend(option(8, &[]));
        let mut context = 0u32.to_be_bytes().to_vec();
        context.extend(1u32.to_be_bytes());
        context.extend(15u32.to_be_bytes());
        context.extend(b"base:allocation");
        bytes.extend(option(10, &context));
    }
    bytes.extend(option(7, &[0; 6]));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (_ended, told) = say(&bytes);
        prop_assert!(told.len() < 1 << 20);
    }

    #[test]
    fn noise_in_options_is_survived(
        number in 0u32..14,
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = 3u32.to_be_bytes().to_vec();
        bytes.extend(option(number, &data));
        bytes.extend(option(7, &[0; 6]));
        let (_ended, told) = say(&bytes);
        prop_assert!(told.len() < 1 << 20);
    }

    #[test]
    fn noise_in_requests_is_answered_or_cut_off(
        is_structured in any::<bool>(),
        requests in proptest::collection::vec(
            (any::<u16>(), 0u16..12, any::<u64>(), any::<u32>()), 1..20),
    ) {
        let mut bytes = hello(is_structured);
        for (flags, command, offset, length) in requests {
            bytes.extend(request(flags & 0x1f, command, offset % 400_000, length % 500_000));
        }
        let (_ended, told) = say(&bytes);
        prop_assert!(told.len() < 20 << 20);
    }
}

#[test]
fn huge_lengths_take_no_memory_and_get_an_error() {
    for is_structured in [false, true] {
        for (offset, length) in [
            (0, u32::MAX),
            (u64::MAX, 1),
            (u64::MAX, u32::MAX),
            (0, 300_001),
        ] {
            for command in [0, 7] {
                let mut bytes = hello(is_structured);
                let before = say(&bytes).1.len();
                bytes.extend(request(0, command, offset, length));
                let (ended, told) = say(&bytes);
                ended.unwrap();
                let answer = &told[before..];
                // A simple answer with an error, or one chunk of it.
                assert_eq!(answer.len(), if is_structured { 26 } else { 16 });
            }
        }
    }
    // A write of 4 GiB is not waited for, an option of 4 GiB neither.
    let mut bytes = hello(true);
    bytes.extend(request(0, 1, 0, u32::MAX));
    assert!(say(&bytes).0.is_err());
    let mut bytes = 3u32.to_be_bytes().to_vec();
    bytes.extend(OPTION_MAGIC.to_be_bytes());
    bytes.extend(7u32.to_be_bytes());
    bytes.extend(u32::MAX.to_be_bytes());
    assert!(say(&bytes).0.is_err());
}

#[test]
fn writes_are_refused_and_the_conversation_goes_on() {
    let mut bytes = hello(false);
    let before = say(&bytes).1.len();
    bytes.extend(request(0, 1, 0, 1000));
    bytes.extend([9; 1000]);
    bytes.extend(request(0, 4, 0, 1000));
    bytes.extend(request(0, 6, 0, 1000));
    bytes.extend(request(0, 0, 0, 10));
    let (ended, told) = say(&bytes);
    ended.unwrap();
    let answers = &told[before..];
    assert_eq!(answers.len(), 4 * 16 + 10);
    for refused in 0..3 {
        assert_eq!(answers[refused * 16 + 4..refused * 16 + 8], [0, 0, 0, 1]);
    }
    assert!(answers[4 * 16..] == Striped::new(300_000).0[..10]);
}

#[test]
fn options_without_end_are_cut_off() {
    let mut bytes = 3u32.to_be_bytes().to_vec();
    for _ in 0..10_000 {
        bytes.extend(option(3, &[]));
    }
    let (ended, told) = say(&bytes);
    assert!(ended.is_err());
    assert!(told.len() < 1 << 16);
}

#[test]
fn our_own_client_reads_disk_and_holes_over_both_kinds_of_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (settings, length) = (Settings::default(), 5_000_001);
    for at in [socket.to_str().unwrap(), "127.0.0.1:0"] {
        let disk = Striped::new(length);
        let bytes = disk.0.clone();
        let listening = serve(Arc::new(disk), "a b", at).unwrap();
        let endpoint = match listening.tcp_address() {
            Some(address) => Endpoint::at_tcp(address, "a b", &settings),
            None => Endpoint::at(&socket, "a b", &settings),
        };
        let source = NbdSource::open(endpoint).unwrap();
        assert_eq!(source.size_bytes(), length as u64);
        let allocated: Vec<_> = source.allocated().unwrap().map(Result::unwrap).collect();
        assert!(allocated.iter().all(|extent| {
            (extent.offset / STRIPE).is_multiple_of(2) == (extent.kind == ExtentKind::Data)
        }));
        let mut read = vec![0xee; length];
        let mut reader = source.open_reader().unwrap();
        let all = std::iter::once(Ok(Extent::data(0, length as u64)));
        for chunk in reader.read(Box::new(all), ReadPlan::default()) {
            let (offset, bytes) = match chunk.unwrap() {
                Chunk::Data { offset, bytes } => (offset, bytes.to_vec()),
                Chunk::Zero { offset, length } => {
                    (offset, vec![0; usize::try_from(length).unwrap()])
                }
            };
            let start = usize::try_from(offset).unwrap();
            read[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        assert!(read == bytes);
        drop(listening);
        assert!(!socket.exists());
    }
}

#[test]
fn clients_that_go_in_the_middle_or_say_nothing_keep_no_other_waiting() {
    let listening = serve(Arc::new(Striped::new(300_000)), "disk", "127.0.0.1:0").unwrap();
    let address = listening.tcp_address().unwrap().to_owned();
    let mut silent = Vec::new();
    for number in 0..40 {
        let mut client = TcpStream::connect(&address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut greeting = [0; 18];
        client.read_exact(&mut greeting).unwrap();
        let begun = hello(true);
        client.write_all(&begun[..number.min(begun.len())]).unwrap();
        if number % 2 == 0 {
            silent.push(client);
        }
    }
    let socket = TcpStream::connect(&address).unwrap();
    let mut connection = Connection::over(socket, &ConnectOptions::default()).unwrap();
    let cookie = connection.send_read(0, 1000, false).unwrap();
    assert!(matches!(connection.wait(cookie).unwrap(), Reply::Data(bytes) if bytes.len() == 1000));
}
