//! Servers that answer well, late, wrongly or not at all.

use std::time::{Duration, Instant};

use agent_blocks::{
    ErrorKind,
    nbd::{NbdError, Reply, StatusExtent, StatusWalk},
};

use crate::peer::{
    BLOCK_STATUS, DATA, ERROR, ERROR_OFFSET, HOLE, LIMIT, Offer, PATIENCE, Peer, READ, STATUS,
    connected,
};

/// What becomes of reading 4096 bytes at 8192 when the server answers like this.
fn read<F>(offer: Offer, answer: F) -> Result<Reply, NbdError>
where
    F: FnOnce(&mut Peer, u64) + Send + 'static,
{
    read_within(PATIENCE, offer, answer)
}

fn read_within<F>(limit: Duration, offer: Offer, answer: F) -> Result<Reply, NbdError>
where
    F: FnOnce(&mut Peer, u64) + Send + 'static,
{
    let (mut connection, server) = connected(offer, limit, |peer| {
        let request = peer.request().unwrap();
        let asked = (request.command, request.offset, request.length);
        assert_eq!(asked, (READ, 8192, 4096));
        answer(peer, request.cookie);
    });
    let cookie = connection.send_read(8192, 4096, true).unwrap();
    let reply = connection.wait(cookie);
    drop(connection);
    server.join().unwrap();
    reply
}

fn problem(reply: Result<Reply, NbdError>) -> String {
    match reply {
        Err(NbdError::Protocol { problem, .. }) => problem,
        other => panic!("no broken protocol: {other:?}"),
    }
}

fn at(offset: u64) -> [u8; 8] {
    offset.to_be_bytes()
}

#[test]
fn fragments_of_data_and_holes_in_any_order_make_one_answer() {
    let reply = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, DATA, false, &[&at(8192 + 3000), &[3; 1096]]);
        peer.chunk(
            cookie,
            HOLE,
            false,
            &[&at(8192 + 100), &2900_u32.to_be_bytes()],
        );
        peer.chunk(cookie, DATA, false, &[&at(8192), &[1; 100]]);
        peer.chunk(cookie, 0, true, &[]);
    });
    let want = [vec![1; 100], vec![0; 2900], vec![3; 1096]].concat();
    assert_eq!(reply.unwrap(), Reply::Data(want));
}

#[test]
fn an_answer_of_holes_alone_is_a_hole() {
    let reply = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, HOLE, false, &[&at(8192), &96_u32.to_be_bytes()]);
        peer.chunk(
            cookie,
            HOLE,
            true,
            &[&at(8192 + 96), &4000_u32.to_be_bytes()],
        );
    });
    assert_eq!(reply.unwrap(), Reply::Hole);
}

#[test]
fn a_server_without_structured_replies_is_read_as_well() {
    let offer = Offer {
        structured: false,
        ..Offer::default()
    };
    let reply = read(offer, |peer, cookie| peer.simple(cookie, 0, &[9; 4096]));
    assert_eq!(reply.unwrap(), Reply::Data(vec![9; 4096]));
}

#[test]
fn chunks_that_were_not_asked_for_break_the_connection() {
    for (offset, length) in [
        (8191, 4096),
        (8192, 4097),
        (8193, 4096),
        (0, 1),
        (u64::MAX, 1),
    ] {
        let reply = read(Offer::default(), move |peer, cookie| {
            peer.chunk(cookie, DATA, true, &[&at(offset), &vec![1; length]]);
        });
        assert!(
            problem(reply).contains("not asked for"),
            "{length} at {offset}"
        );
        let reply = read(Offer::default(), move |peer, cookie| {
            let length = length as u32;
            peer.chunk(cookie, HOLE, true, &[&at(offset), &length.to_be_bytes()]);
        });
        assert!(
            problem(reply).contains("not asked for"),
            "hole {length} at {offset}"
        );
    }
}

#[test]
fn a_huge_chunk_is_refused_by_its_head_alone() {
    let reply = read(Offer::default(), |peer, cookie| {
        peer.chunk_head(cookie, DATA, true, u32::MAX);
        peer.put(&[&at(8192)]);
    });
    assert!(problem(reply).contains("not asked for"));
    let reply = read(Offer::default(), |peer, cookie| {
        peer.chunk_head(cookie, ERROR, true, u32::MAX);
    });
    assert!(problem(reply).contains("an error of"));
}

#[test]
fn bytes_told_twice_and_bytes_never_told_are_refused() {
    let twice = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, DATA, false, &[&at(8192), &[1; 4096]]);
        peer.chunk(
            cookie,
            HOLE,
            true,
            &[&at(8192 + 4095), &1_u32.to_be_bytes()],
        );
    });
    assert!(problem(twice).contains("twice"));
    let short = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, DATA, true, &[&at(8192), &[1; 4095]]);
    });
    assert!(problem(short).contains("before all bytes"));
    let none = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, 0, true, &[])
    });
    assert!(problem(none).contains("before all bytes"));
}

#[test]
fn malformed_chunks_are_refused() {
    let cases: [(u16, &[u8]); 8] = [
        (DATA, &[0; 8]),
        (DATA, &[0; 3]),
        (HOLE, &[0; 11]),
        (0, &[1]),
        (9, &[1, 2, 3]),
        (ERROR, &[0, 0, 0, 5]),
        (ERROR, &[0, 0, 0, 5, 0, 9]),
        (ERROR, &[0, 0, 0, 0, 0, 0]),
    ];
    for (kind, payload) in cases {
        let reply = read(Offer::default(), move |peer, cookie| {
            peer.chunk(cookie, kind, true, &[payload]);
        });
        problem(reply);
    }
    problem(read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie, 0, false, &[])
    }));
}

#[test]
fn an_answer_to_nothing_and_an_answer_with_no_magic_are_refused() {
    let reply = read(Offer::default(), |peer, cookie| {
        peer.chunk(cookie + 1, 0, true, &[])
    });
    assert!(problem(reply).contains("not open"));
    let reply = read(Offer::default(), |peer, _| peer.put(&[b"GIF89a, no reply"]));
    assert!(problem(reply).contains("magic"));
    let reply = read(Offer::default(), |peer, cookie| {
        peer.simple(cookie, 0, &[1; 4096])
    });
    assert!(problem(reply).contains("simple reply"));
    let offer = Offer {
        structured: false,
        ..Offer::default()
    };
    let reply = read(offer, |peer, cookie| peer.chunk(cookie, 0, true, &[]));
    assert!(problem(reply).contains("magic"));
}

#[test]
fn a_failed_read_names_itself_and_leaves_the_connection_usable() {
    let (mut connection, _server) = connected(Offer::default(), PATIENCE, |peer| {
        let first = peer.request().unwrap().cookie;
        let message = [&5_u32.to_be_bytes()[..], &[0, 7], b"bad sec", &at(12_288)].concat();
        peer.chunk(first, ERROR_OFFSET, false, &[&message]);
        peer.chunk(first, HOLE, true, &[&at(8192), &4096_u32.to_be_bytes()]);
        let second = peer.request().unwrap().cookie;
        peer.simple(second, 28, &[]);
        let third = peer.request().unwrap().cookie;
        peer.chunk(third, DATA, true, &[&at(0), &[4; 512]]);
        peer.wait_for_the_end();
    });
    let cookie = connection.send_read(8192, 8192, true).unwrap();
    let error = connection.wait(cookie).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(
        error.to_string(),
        "the NBD server failed to read 8192 bytes at 8192: errno 5, bad sec (at offset 12288)"
    );
    let cookie = connection.send_write(0, &[1]).unwrap();
    assert_eq!(
        connection.wait(cookie).unwrap_err().kind(),
        ErrorKind::NoSpace
    );
    let cookie = connection.send_read(0, 512, true).unwrap();
    assert_eq!(connection.wait(cookie).unwrap(), Reply::Data(vec![4; 512]));
}

#[test]
fn a_server_that_dies_is_lost_wherever_it_stops() {
    let whole = [
        &0x668e_33ef_u32.to_be_bytes()[..],
        &[0, 1, 0, 1],
        &1_u64.to_be_bytes(),
        &(8 + 4096_u32).to_be_bytes(),
        &at(8192),
        &[1; 4096],
    ]
    .concat();
    for length in [0, 3, 4, 10, 19, 20, 27, 28, 1000, whole.len() - 1] {
        let part = whole[..length].to_vec();
        let error = read(Offer::default(), move |peer, _| peer.put(&[&part])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{length}: {error}");
        assert!(
            error.to_string().contains("read 4096 bytes at 8192"),
            "{error}"
        );
    }
    let reply = read(Offer::default(), move |peer, _| peer.put(&[&whole]));
    assert_eq!(reply.unwrap(), Reply::Data(vec![1; 4096]));
}

#[test]
fn a_silent_and_a_dripping_server_time_out_and_the_connection_is_given_up() {
    let started = Instant::now();
    let (mut connection, _server) = connected(Offer::default(), LIMIT, Peer::wait_for_the_end);
    let first = connection.send_read(0, 512, true).unwrap();
    let second = connection.send_read(512, 512, true).unwrap();
    let error = connection.wait(first).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("read 512 bytes at 0"), "{error}");
    assert_eq!(
        connection.wait(second).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(
        connection.send_flush().unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    let reply = read_within(LIMIT, Offer::default(), |peer, cookie| {
        peer.chunk_head(cookie, DATA, true, 8 + 4096);
        peer.put(&[&at(8192)]);
        for _ in 0..20 {
            peer.put(&[&[1]]);
            std::thread::sleep(LIMIT / 10);
        }
    });
    assert_eq!(reply.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < PATIENCE);
}

fn with_status() -> Offer {
    Offer {
        context: Some("base:allocation"),
        size: 3 << 30,
        ..Offer::default()
    }
}

fn status(ranges: &[(u32, u32)]) -> Vec<u8> {
    let words = ranges.iter().flat_map(|(length, flags)| [*length, *flags]);
    [7].into_iter()
        .chain(words)
        .flat_map(u32::to_be_bytes)
        .collect()
}

#[test]
fn a_walk_asks_on_from_where_the_answer_ended_and_clips_what_goes_beyond() {
    let (connection, server) = connected(with_status(), PATIENCE, |peer| {
        let answers = [
            (0, 1 << 30, status(&[(1 << 20, 0)])),
            (1 << 20, 1 << 30, status(&[(65536, 3), (u32::MAX, 0)])),
        ];
        for (offset, length, ranges) in answers {
            let request = peer.request().unwrap();
            let asked = (request.command, request.offset, request.length);
            assert_eq!(asked, (BLOCK_STATUS, offset, length));
            peer.chunk(request.cookie, STATUS, true, &[&ranges]);
        }
    });
    let walk = StatusWalk::new(connection, "base:allocation", 0..u64::MAX).unwrap();
    let runs: Vec<StatusExtent> = walk.map(|run| run.unwrap()).collect();
    let run = |offset, length, flags| StatusExtent {
        offset,
        length,
        flags,
    };
    let rest = (1 << 20) + 65536;
    let want = [
        run(0, 1 << 20, 0),
        run(1 << 20, 65536, 3),
        run(rest, (3 << 30) - rest, 0),
    ];
    assert_eq!(runs, want);
    server.join().unwrap();
}

#[test]
fn a_walk_ends_with_the_first_error() {
    let bad: [(u16, Vec<u8>); 5] = [
        (STATUS, status(&[(0, 0)])),
        (STATUS, status(&[])),
        (STATUS, [status(&[(1, 0)]), vec![1]].concat()),
        (
            STATUS,
            [&8_u32.to_be_bytes()[..], &status(&[(512, 0)])[4..]].concat(),
        ),
        (0, Vec::new()),
    ];
    for (kind, payload) in bad {
        let told = format!("{payload:?}");
        let (connection, _server) = connected(with_status(), PATIENCE, move |peer| {
            let cookie = peer.request().unwrap().cookie;
            peer.chunk(cookie, kind, true, &[&payload]);
            peer.wait_for_the_end();
        });
        let mut walk = StatusWalk::new(connection, "base:allocation", 0..u64::MAX).unwrap();
        let error = walk.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{told}: {error}");
        assert!(walk.next().is_none());
    }
}

#[test]
fn a_status_list_without_end_is_refused_by_its_head() {
    let (connection, _server) = connected(with_status(), PATIENCE, |peer| {
        let cookie = peer.request().unwrap().cookie;
        peer.chunk_head(cookie, STATUS, true, 0xffff_fffc);
        peer.put(&[&7_u32.to_be_bytes()]);
    });
    let mut walk = StatusWalk::new(connection, "base:allocation", 0..u64::MAX).unwrap();
    assert_eq!(
        walk.next().unwrap().unwrap_err().kind(),
        ErrorKind::Protocol
    );
}
