//! Readers and sinks over servers with limits and failures.

use std::{
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    thread,
};

use agent_blocks::{
    Chunk, DiskSink, ErrorKind, Extent, NbdSource, NbdTarget, ReadDisk, ReadPlan, Settings,
    WriteDisk, nbd::Endpoint,
};
use tempfile::TempDir;

use crate::peer::{
    DATA, DISCONNECT, FLUSH, LIMIT, Offer, PATIENCE, PLAIN, Peer, READ, Request, WRITE,
};

/// Serves every connection with the same script, after the handshake.
fn serve<F>(offer: Offer, script: F) -> (TempDir, Endpoint)
where
    F: Fn(&mut Peer) + Send + Sync + 'static,
{
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        let script = Arc::new(script);
        for stream in listener.incoming() {
            let (script, offer) = (script.clone(), offer.clone());
            thread::spawn(move || {
                let mut peer = Peer(stream.unwrap());
                peer.shake_hands(&offer);
                script(&mut peer);
            });
        }
    });
    let settings = Settings {
        io_timeout: PATIENCE,
        write_window: 4,
        ..Settings::default()
    };
    (directory, Endpoint::at(socket, "", &settings))
}

fn number_of(offset: u64) -> u8 {
    (offset / 1000) as u8
}

/// Answers `count` reads at a time, the last one first.
fn answer_backwards(peer: &mut Peer, count: usize) {
    loop {
        let requests: Vec<_> = (0..count).map_while(|_| peer.request()).collect();
        if requests.len() < count || requests[0].command != READ {
            return;
        }
        for request in requests.into_iter().rev() {
            let bytes = vec![number_of(request.offset); request.length as usize];
            peer.chunk(
                request.cookie,
                DATA,
                true,
                &[&request.offset.to_be_bytes(), &bytes],
            );
        }
    }
}

fn read_all(endpoint: Endpoint, plan: ReadPlan) -> Vec<Chunk> {
    let source = NbdSource::open(endpoint).unwrap();
    let mut reader = source.open_reader().unwrap();
    let all = Box::new([Ok(Extent::data(0, source.size_bytes()))].into_iter());
    reader.read(all, plan).map(|chunk| chunk.unwrap()).collect()
}

#[test]
fn answers_out_of_order_leave_the_reader_in_order() {
    let offer = Offer {
        size: 16_000,
        ..Offer::default()
    };
    let (_directory, endpoint) = serve(offer, |peer| answer_backwards(peer, 4));
    // The window is filled up after each chunk: 4 in flight, then one more for each answered.
    let (_other, single) = serve(
        Offer {
            size: 16_000,
            ..Offer::default()
        },
        |peer| {
            answer_backwards(peer, 1);
        },
    );
    let want: Vec<Chunk> = (0..16)
        .map(|n| Chunk::Data {
            offset: n * 1000,
            bytes: vec![number_of(n * 1000); 1000].into(),
        })
        .collect();
    let plan = ReadPlan {
        chunk_bytes: 1000,
        window: 4,
    };
    assert_eq!(read_all(single, plan), want);
    let plan = ReadPlan {
        chunk_bytes: 1000,
        window: 16,
    };
    assert_eq!(read_all(endpoint, plan), want);
}

#[test]
fn no_more_is_in_flight_than_the_window() {
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    let (_directory, endpoint) = serve(Offer::default(), move |peer| {
        // Waits for a full window, gives one more the time to come, and hangs up.
        let full = (0..3).map_while(|_| peer.request()).count();
        let beyond = usize::from(peer.request_within(LIMIT).is_some());
        *count.lock().unwrap() = full + beyond;
    });
    let mut reader = endpoint.open_reader(true).unwrap();
    let all = Box::new([Ok(Extent::data(0, 1 << 20))].into_iter());
    let mut chunks = reader.read(
        all,
        ReadPlan {
            chunk_bytes: 4096,
            window: 3,
        },
    );
    assert_eq!(
        chunks.next().unwrap().unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(chunks.next().is_none());
    assert_eq!(*seen.lock().unwrap(), 3);
}

#[test]
fn the_limits_of_a_server_are_kept() {
    let offer = Offer {
        size: 1 << 20,
        blocks: Some((4096, 65536)),
        ..Offer::default()
    };
    let (_directory, endpoint) = serve(offer, |peer| answer_backwards(peer, 1));
    let chunks = read_all(
        endpoint.clone(),
        ReadPlan {
            chunk_bytes: 1 << 20,
            window: 2,
        },
    );
    assert_eq!(chunks.len(), 16);
    let mut connection = endpoint.connect(&[]).unwrap();
    assert_eq!(
        connection.send_read(0, 512, true).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(
        connection.send_read(0, 131_072, true).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn a_read_without_fragments_says_so_where_the_server_understands() {
    for (flags, want) in [(PLAIN, 4), (1, 0)] {
        let told = Arc::new(Mutex::new(None));
        let heard = told.clone();
        let (_directory, endpoint) = serve(
            Offer {
                flags,
                ..Offer::default()
            },
            move |peer| {
                let request = peer.request().unwrap();
                *heard.lock().unwrap() = Some(request.flags);
            },
        );
        let mut reader = endpoint.open_reader(false).unwrap();
        let some = Box::new([Ok(Extent::data(0, 512))].into_iter());
        assert!(
            reader
                .read(some, ReadPlan::default())
                .next()
                .unwrap()
                .is_err()
        );
        assert_eq!(*told.lock().unwrap(), Some(want));
    }
}

#[test]
fn a_failed_chunk_ends_the_reading_and_a_later_reading_works() {
    let (_directory, endpoint) = serve(
        Offer {
            size: 16_000,
            ..Offer::default()
        },
        |peer| {
            while let Some(request) = peer.request() {
                if request.offset == 5000 && request.length == 1000 {
                    peer.simple(request.cookie, 5, &[]);
                    continue;
                }
                let bytes = vec![number_of(request.offset); request.length as usize];
                peer.chunk(
                    request.cookie,
                    DATA,
                    true,
                    &[&request.offset.to_be_bytes(), &bytes],
                );
            }
        },
    );
    let mut reader = endpoint.open_reader(true).unwrap();
    let plan = ReadPlan {
        chunk_bytes: 1000,
        window: 8,
    };
    let all = || Box::new([Ok(Extent::data(0, 16_000))].into_iter());
    let chunks: Vec<_> = reader.read(all(), plan).collect();
    assert_eq!(chunks.len(), 6);
    let error = chunks[5].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let cause = std::error::Error::source(error).unwrap().to_string();
    assert!(cause.contains("read 1000 bytes at 5000"), "{cause}");
    let chunks: Vec<_> = reader
        .read(
            all(),
            ReadPlan {
                chunk_bytes: 2000,
                window: 2,
            },
        )
        .collect();
    assert!(chunks.len() == 8 && chunks.iter().all(Result::is_ok));
}

fn sink_of(endpoint: Endpoint) -> Box<dyn DiskSink> {
    NbdTarget::open(endpoint).unwrap().open_sink().unwrap()
}

#[test]
fn a_failed_write_is_told_at_the_flush_at_the_latest_and_never_forgotten() {
    let (_directory, endpoint) = serve(Offer::default(), |peer| {
        while let Some(request) = peer.request() {
            let errno = if request.offset == 4096 { 28 } else { 0 };
            peer.simple(request.cookie, errno, &[]);
        }
    });
    let mut sink = sink_of(endpoint);
    let results: Vec<_> = (0..3)
        .map(|number| sink.write_at(number * 4096, &[1; 4096]).is_ok())
        .collect();
    assert_eq!(results, [true; 3]);
    let error = sink.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("write 4096 bytes at 4096"), "{cause}");
    assert!(sink.flush().is_err());
    assert!(sink.write_at(0, &[1]).is_err());
}

#[test]
fn a_server_that_dies_while_it_is_written_to_fails_the_sink() {
    let (_directory, endpoint) = serve(Offer::default(), |peer| {
        peer.request();
    });
    let mut sink = sink_of(endpoint);
    let bytes = vec![1; 1 << 20];
    let failed = (0..10).find_map(|_| sink.write_at(0, &bytes).err());
    assert_eq!(failed.unwrap().kind(), ErrorKind::Unavailable);
    assert!(sink.flush().is_err());
}

/// Takes writes into memory, of each two in flight the later one first.
fn reordering(peer: &mut Peer, disk: &Mutex<Vec<u8>>) {
    let perform = |peer: &mut Peer, request: &Request| {
        let start = request.offset as usize;
        if request.command == WRITE {
            let place = start..start + request.payload.len();
            disk.lock().unwrap()[place].copy_from_slice(&request.payload);
        }
        peer.simple(request.cookie, 0, &[]);
    };
    let mut held: Option<Request> = None;
    loop {
        let next = peer.request_within(LIMIT / 10);
        if next
            .as_ref()
            .is_some_and(|request| request.command == DISCONNECT)
        {
            return;
        }
        match (next, held.take()) {
            (Some(next), None) => held = Some(next),
            (next, earlier) => {
                next.into_iter()
                    .chain(earlier)
                    .for_each(|request| perform(peer, &request));
            }
        }
    }
}

#[test]
fn overlapping_writes_keep_their_order_and_a_lacking_server_is_written_zeroes() {
    let disk = Arc::new(Mutex::new(vec![9; 1 << 20]));
    let theirs = disk.clone();
    let (_directory, endpoint) = serve(Offer::default(), move |peer| reordering(peer, &theirs));
    let mut sink = sink_of(endpoint);
    sink.write_at(0, &[1; 1000]).unwrap();
    sink.write_at(500, &[2; 1000]).unwrap();
    sink.zero_at(900, 200).unwrap();
    sink.write_at(1000, &[3; 10]).unwrap();
    sink.flush().unwrap();
    let mut want = vec![9; 1 << 20];
    want[..500].fill(1);
    want[500..1500].fill(2);
    want[900..1100].fill(0);
    want[1000..1010].fill(3);
    assert!(*disk.lock().unwrap() == want);
}

#[test]
fn a_flush_is_sent_after_all_writes_were_answered() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let (_directory, endpoint) = serve(Offer::default(), move |peer| {
        while let Some(request) = peer.request() {
            log.lock().unwrap().push(request.command);
            peer.simple(request.cookie, 0, &[]);
        }
    });
    let mut sink = sink_of(endpoint);
    sink.write_at(0, &[1; 512]).unwrap();
    sink.write_at(512, &[1; 512]).unwrap();
    sink.flush().unwrap();
    assert_eq!(*seen.lock().unwrap(), [DISCONNECT, WRITE, WRITE, FLUSH]);
}
