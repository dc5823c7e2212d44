//! What an NBD server answers to requests.
#![no_main]

use agent_blocks::nbd::{Command, Operation, Reply, replay_replies};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let operation = |command, offset, length| Operation {
        command,
        offset,
        length,
    };
    let requests = [
        operation(Command::Read, 0, 4096),
        operation(Command::Read, 65536, 100),
        operation(Command::BlockStatus, 0, 1 << 20),
        operation(Command::Write, 0, 512),
        operation(Command::Flush, 0, 0),
    ];
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let Ok(answers) = replay_replies(&requests, kind % 2 == 0, bytes) else {
        return;
    };
    for (request, answer) in requests.iter().zip(answers) {
        match answer {
            Some(Ok(Reply::Data(bytes))) => assert_eq!(bytes.len(), request.length as usize),
            Some(_) | None => {}
        }
    }
});
