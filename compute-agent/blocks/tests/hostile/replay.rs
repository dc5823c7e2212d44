//! Arbitrary bytes in place of a server: an answer or an error, never a panic.

use agent_blocks::nbd::{Command, Operation, Reply, replay_handshake, replay_replies};
use proptest::prelude::*;

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
        operation(Command::Flush, 0, 0),
    ]
}

/// Messages whose heads are right and whose fields are near what is right.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0_u16, 1, 2, 5, 0x8001, 0x8002, 77]);
    let offset = prop::sample::select(vec![0_u64, 1, 2048, 65536, 65600, u64::MAX]);
    let length = prop::sample::select(vec![0_u32, 4, 8, 12, 20, 58, 108, 2056, 4104, u32::MAX]);
    (any::<bool>(), kind, 0..5_u64, offset, length, 0..4200_usize).prop_map(
        |(is_done, kind, cookie, offset, length, filler)| {
            let magic = 0x668e_33ef_u32.to_be_bytes();
            let flags = u16::from(is_done).to_be_bytes();
            let head = [
                &magic[..],
                &flags,
                &kind.to_be_bytes(),
                &cookie.to_be_bytes(),
            ]
            .concat();
            let length_bytes = length.to_be_bytes();
            let filler = vec![0; filler.min(length as usize).saturating_sub(8)];
            [&head, &length_bytes[..], &offset.to_be_bytes(), &filler].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_are_no_handshake(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(replay_handshake(&bytes, "", &[]).is_err());
    }

    #[test]
    fn near_messages_give_answers_of_the_right_length_or_an_error(
        messages in prop::collection::vec(message(), 0..8), structured in any::<bool>(),
    ) {
        let requests = requests();
        let Ok(answers) = replay_replies(&requests, structured, &messages.concat()) else {
            return Ok(());
        };
        for (request, answer) in requests.iter().zip(answers) {
            if let Some(Ok(Reply::Data(bytes))) = answer {
                prop_assert_eq!(bytes.len(), request.length as usize);
            }
        }
    }
}

#[test]
fn a_recorded_answer_is_replayed() {
    let mut bytes = 0x668e_33ef_u32.to_be_bytes().to_vec();
    bytes.extend([0, 1, 0, 0]);
    bytes.extend(3_u64.to_be_bytes());
    bytes.extend([0; 4]);
    let answers = replay_replies(&requests(), true, &bytes).unwrap();
    assert!(matches!(answers[3], Some(Ok(Reply::Done))));
    assert!(answers[..3].iter().all(Option::is_none));
    assert!(replay_replies(&requests(), true, &bytes[..10]).is_err());
}
