//! Servers that do not get as far as an export.

use std::time::{Duration, Instant};

use agent_blocks::{
    ErrorKind,
    nbd::{Connection, NbdError},
};

use crate::peer::{LIMIT, Offer, PATIENCE, Peer, connect, connected};

fn refused_within<F>(limit: Duration, script: F) -> NbdError
where
    F: FnOnce(&mut Peer) + Send + 'static,
{
    connect(&["base:allocation"], limit, script)
        .map(drop)
        .unwrap_err()
}

fn refused<F>(script: F) -> NbdError
where
    F: FnOnce(&mut Peer) + Send + 'static,
{
    refused_within(PATIENCE, script)
}

fn kind<F>(script: F) -> ErrorKind
where
    F: FnOnce(&mut Peer) + Send + 'static,
{
    refused(script).kind()
}

#[test]
fn what_is_no_newstyle_server_is_refused() {
    assert_eq!(
        kind(|peer| peer.put(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"])),
        ErrorKind::Protocol
    );
    let oldstyle = |peer: &mut Peer| peer.put(&[b"NBDMAGIC", &[0, 0, 0x42, 2], &[0; 144]]);
    assert_eq!(kind(oldstyle), ErrorKind::Protocol);
    assert_eq!(
        kind(|peer| peer.put(&[b"NBDMAGIC", b"IHAVEOPT", &[0, 0]])),
        ErrorKind::Protocol
    );
}

#[test]
fn a_server_that_hangs_up_is_unavailable() {
    assert_eq!(kind(|_| ()), ErrorKind::Unavailable);
    assert_eq!(kind(|peer| peer.greet()), ErrorKind::Unavailable);
}

#[test]
fn a_silent_and_a_dripping_server_time_out() {
    let started = Instant::now();
    let silent = refused_within(LIMIT, Peer::wait_for_the_end);
    assert_eq!(silent.kind(), ErrorKind::Timeout);
    let dripping = refused_within(LIMIT, |peer| {
        for byte in b"NBDMAGICIHAVEOPT" {
            peer.put(&[&[*byte]]);
            std::thread::sleep(LIMIT / 4);
        }
    });
    assert_eq!(dripping.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < PATIENCE);
}

/// Answers the first options well and the export with this.
fn go(answer: impl FnOnce(&mut Peer) + Send + 'static) -> NbdError {
    refused(|peer| {
        peer.greet();
        while let Some((option, _)) = peer.option() {
            if option == 7 {
                answer(peer);
                return peer.wait_for_the_end();
            }
            peer.option_reply(option, 1, &[]);
        }
    })
}

#[test]
fn the_refusals_of_an_export_are_told_apart() {
    let error = go(|peer| peer.option_reply(7, 0x8000_0006, b"export 'x' not present"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("export 'x' not present"),
        "{error}"
    );
    let kinds = [
        go(|peer| peer.option_reply(7, 0x8000_0001, &[])).kind(),
        go(|peer| peer.option_reply(7, 0x8000_0002, &[])).kind(),
        go(|peer| peer.option_reply(7, 0x8000_0005, &[])).kind(),
        go(|peer| peer.option_reply(7, 0x8000_0007, &[])).kind(),
        go(|peer| peer.option_reply(7, 99, &[])).kind(),
    ];
    let want = [
        ErrorKind::Invalid,
        ErrorKind::Denied,
        ErrorKind::Denied,
        ErrorKind::Unavailable,
        ErrorKind::Protocol,
    ];
    assert_eq!(kinds, want);
}

#[test]
fn nonsense_about_an_export_is_refused() {
    let export = |size: u64| [&[0, 0][..], &size.to_be_bytes(), &[0, 1]].concat();
    let block = |sizes: [u32; 3]| [&[0, 3][..], &sizes.map(u32::to_be_bytes).concat()].concat();
    let infos = [
        vec![],
        vec![0],
        vec![0, 0, 1, 2, 3],
        export(u64::MAX),
        block([0, 0, 0]),
        block([3, 4096, 65536]),
        block([1 << 20, 1 << 20, 1 << 25]),
        block([4096, 4096, 1]),
    ];
    for info in infos {
        let told = format!("{info:?}");
        let error = go(move |peer| peer.option_reply(7, 3, &info));
        assert_eq!(error.kind(), ErrorKind::Protocol, "{told}");
    }
    assert_eq!(
        go(|peer| peer.option_reply(7, 1, &[])).kind(),
        ErrorKind::Protocol
    );
    assert_eq!(
        go(|peer| peer.option_reply(8, 1, &[])).kind(),
        ErrorKind::Protocol
    );
}

#[test]
fn replies_without_end_and_replies_too_long_are_refused() {
    let endless = |peer: &mut Peer| {
        for _ in 0..10_000 {
            peer.option_reply(7, 3, &[0, 1, b'x']);
        }
    };
    assert_eq!(go(endless).kind(), ErrorKind::Protocol);
    let long = |peer: &mut Peer| {
        let magic = 0x0003_e889_0455_65a9_u64.to_be_bytes();
        peer.put(&[
            &magic,
            &7_u32.to_be_bytes(),
            &3_u32.to_be_bytes(),
            &u32::MAX.to_be_bytes(),
        ]);
    };
    assert_eq!(go(long).kind(), ErrorKind::Protocol);
}

fn contexts_of(offer: Offer) -> Vec<(u32, String)> {
    let (connection, _server): (Connection, _) = connected(offer, PATIENCE, Peer::wait_for_the_end);
    connection.export().contexts.clone()
}

#[test]
fn only_contexts_that_were_asked_for_and_granted_are_told() {
    let offer = Offer {
        context: Some("base:allocation"),
        ..Offer::default()
    };
    assert_eq!(
        contexts_of(offer.clone()),
        [(7, "base:allocation".to_owned())]
    );
    assert_eq!(
        contexts_of(Offer {
            structured: false,
            ..offer
        }),
        []
    );
    let other = connect(&["qemu:dirty-bitmap:x"], PATIENCE, |peer| {
        peer.shake_hands(&Offer {
            context: Some("base:allocation"),
            ..Offer::default()
        });
        peer.wait_for_the_end();
    });
    assert_eq!(other.unwrap().export().contexts, []);
}
