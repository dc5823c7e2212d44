//! Thousands of recorded NBD servers with a little damage, the same ones in each run: an answer that fits
//! the request, or an error; never a panic, never memory for what is only promised.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::fs;

use agent_blocks::nbd::{Command, Operation, Reply, replay_handshake, replay_replies};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};

const CASES: u32 = 20_000;
const MEMORY_KIB: u64 = 64 << 10;

/// Big-endian numbers, one after the other.
struct Message(Vec<u8>);

impl Message {
    fn option_reply(option: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
        Self(0x0003_e889_0455_65a9_u64.to_be_bytes().to_vec())
            .u32(option)
            .u32(kind)
            .u32(payload.len() as u32)
            .bytes(payload)
            .0
    }

    fn chunk(is_last: bool, kind: u16, cookie: u64, payload: &[u8]) -> Vec<u8> {
        Self(0x668e_33ef_u32.to_be_bytes().to_vec())
            .u16(u16::from(is_last))
            .u16(kind)
            .u64(cookie)
            .u32(payload.len() as u32)
            .bytes(payload)
            .0
    }

    fn simple(cookie: u64, errno: u32, payload: &[u8]) -> Vec<u8> {
        Self(0x6744_6698_u32.to_be_bytes().to_vec())
            .u32(errno)
            .u64(cookie)
            .bytes(payload)
            .0
    }

    fn u16(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

fn new() -> Message {
    Message(Vec::new())
}

fn handshake() -> Vec<u8> {
    let export = new().u16(0).u64(1 << 30).u16(0x5ed).0;
    let blocks = new().u16(3).u32(512).u32(65536).u32(1 << 25).0;
    [
        b"NBDMAGICIHAVEOPT\0\x03".to_vec(),
        Message::option_reply(8, 1, &[]),
        Message::option_reply(10, 4, &new().u32(0).bytes(b"base:allocation").0),
        Message::option_reply(10, 1, &[]),
        Message::option_reply(7, 3, &export),
        Message::option_reply(7, 3, &blocks),
        Message::option_reply(7, 1, &[]),
    ]
    .concat()
}

fn structured() -> Vec<u8> {
    let status = new().u32(0).u32(65536).u32(0).u32(983_040).u32(3).0;
    [
        Message::chunk(false, 1, 0, &new().u64(0).bytes(&[1; 2048]).0),
        Message::chunk(true, 2, 0, &new().u64(2048).u32(2048).0),
        Message::chunk(true, 1, 1, &new().u64(65536).bytes(&[2; 100]).0),
        Message::chunk(true, 5, 2, &status),
        Message::chunk(true, 0, 3, &[]),
        Message::chunk(true, 0x8001, 4, &new().u32(5).u16(4).bytes(b"oops").0),
    ]
    .concat()
}

fn simple() -> Vec<u8> {
    [
        Message::simple(1, 0, &[3; 100]),
        Message::simple(3, 0, &[]),
        Message::simple(4, 28, &[]),
        Message::simple(0, 0, &[4; 4096]),
    ]
    .concat()
}

fn requests() -> Vec<Operation> {
    let operation = |command, offset, length| Operation {
        command,
        offset,
        length,
    };
    vec![
        operation(Command::Read, 0, 4096),
        operation(Command::Read, 65536, 100),
        operation(Command::BlockStatus, 0, 1 << 20),
        operation(Command::Write, 0, 512),
        operation(Command::Flush, 0, 0),
    ]
}

type Edit = (Index, u64, usize, bool);

/// Numbers in place of others, or a message's bytes moved by removing some.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let mut numbers = vec![
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        100,
        4096,
        0x8001,
        0x8000_0001,
        u64::MAX,
    ];
    numbers.extend((4..64).map(|bit| 1 << bit));
    let width = select(&[1usize, 2, 4, 8][..]);
    vec(
        (
            any::<Index>(),
            select(numbers),
            width,
            proptest::bool::weighted(0.1),
        ),
        1..5,
    )
}

fn damaged(sound: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for (place, number, width, is_removal) in edits {
        let at = place.index(bytes.len() - 8);
        if *is_removal {
            bytes.drain(at..at + width);
        } else {
            bytes[at..at + width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
        }
    }
    bytes
}

/// Runs the same cases each time.
fn for_each_damage(sound: &[u8], test: impl Fn(&[u8])) {
    let config = ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = TestRunner::new(config).run(&edits(), |edits| {
        test(&damaged(sound, &edits));
        Ok(())
    });
    run.unwrap();
}

fn assert_memory_is_bounded() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn a_damaged_handshake_gives_an_export_that_can_be_or_an_error() {
    let contexts = ["base:allocation".to_owned()];
    let sound = replay_handshake(&handshake(), "disk", &contexts).unwrap();
    assert_eq!((sound.size_bytes, sound.contexts.len()), (1 << 30, 1));
    for_each_damage(&handshake(), |bytes| {
        match replay_handshake(bytes, "disk", &contexts) {
            Ok(export) => {
                assert!(i64::try_from(export.size_bytes).is_ok());
                assert!(export.block_sizes.minimum.is_power_of_two());
                let is_wanted = |(_, name): &(u32, String)| contexts.contains(name);
                assert!(export.contexts.iter().all(is_wanted));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
    assert_memory_is_bounded();
}

#[test]
fn damaged_replies_give_answers_that_fit_their_requests_or_an_error() {
    for (recorded, is_structured) in [(structured(), true), (simple(), false)] {
        let answers = replay_replies(&requests(), is_structured, &recorded).unwrap();
        assert!(matches!(&answers[0], Some(Ok(Reply::Data(bytes))) if bytes.len() == 4096));
        assert!(matches!(answers[3], Some(Ok(Reply::Done))));
        assert!(matches!(answers[4], Some(Err(_))));
        for_each_damage(&recorded, |bytes| {
            let Ok(answers) = replay_replies(&requests(), is_structured, bytes) else {
                return;
            };
            for (request, answer) in requests().iter().zip(answers) {
                if let Some(Ok(reply)) = answer {
                    assert_fits(*request, &reply);
                }
            }
        });
    }
    assert_memory_is_bounded();
}

fn assert_fits(request: Operation, reply: &Reply) {
    let fits = match (request.command, reply) {
        (Command::Read, Reply::Data(bytes)) => bytes.len() == request.length as usize,
        (Command::BlockStatus, Reply::Status(contexts)) => {
            contexts.iter().all(|(_, ranges)| !ranges.is_empty())
        }
        (Command::Read, Reply::Hole) | (Command::Write | Command::Flush, Reply::Done) => true,
        _ => false,
    };
    assert!(fits, "{request:?} was answered with {reply:?}");
}
