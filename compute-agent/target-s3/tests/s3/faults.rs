//! Every request that a piece of work makes goes wrong in every way: the work is done all the same, or
//! it ends with an error that says why, and nothing is there by halves.

use std::sync::OnceLock;
use std::time::Duration;

use agent_target::{ErrorKind, Target, TargetError};
use agent_target_s3::{S3Settings, S3Target};

use crate::proxy::{Fault, Plan, Proxy};
use crate::site::{MIB, content, name, noise, settings, target};
use tests_s3_server::{Habits, Server};

const ALWAYS: u64 = u64::MAX / 2;

struct Site {
    server: Server,
    proxy: Proxy,
    /// Through the proxy.
    target: S3Target,
    /// Past it.
    direct: S3Target,
}

fn site(attempts: u32) -> Site {
    let server = Server::start(Habits::default());
    let proxy = Proxy::start(server.address);
    let target = S3Target::new(S3Settings {
        attempts,
        request_timeout: Duration::from_secs(1),
        ..settings(proxy.address)
    });
    let direct = target_of(&server);
    Site {
        server,
        proxy,
        target: target.unwrap(),
        direct,
    }
}

fn target_of(server: &Server) -> S3Target {
    target(server.address)
}

fn head() -> &'static [u8] {
    static HEAD: OnceLock<Vec<u8>> = OnceLock::new();
    HEAD.get_or_init(|| noise(1, 5 * MIB))
}

fn data() -> &'static [u8] {
    static DATA: OnceLock<Vec<u8>> = OnceLock::new();
    DATA.get_or_init(|| noise(2, 6 * MIB))
}

fn old() -> Vec<u8> {
    noise(3, 100)
}

/// Every kind of request that a backup and its deletion make.
fn work(target: &S3Target) -> Result<(), TargetError> {
    let io = |error: std::io::Error| {
        let kind = ErrorKind::of(&error);
        TargetError {
            kind,
            operation: "write",
            name: String::new(),
            source: Some(Box::new(error)),
        }
    };
    let image = name("w/s/i");
    target.check_writable()?;
    let mut sink = target.create_image(&image, None)?;
    sink.reserve_head(head().len() as u64).map_err(io)?;
    let (first, second) = data().split_at(5 * MIB + 9);
    sink.append(first).map_err(io)?;
    sink.sync().map_err(io)?;
    let length = sink.position();
    drop(sink);
    let mut sink = target.create_image(&image, Some(length))?;
    sink.append(second).map_err(io)?;
    sink.finish(head()).map_err(io)?;
    target.put_object(&name("w/s/manifest"), b"{}")?;
    let reader = target.open_image(&image)?;
    let mut read = vec![0; MIB];
    reader.read_exact_at(&mut read, 6 << 20).map_err(io)?;
    assert!(read == data()[MIB..2 * MIB]);
    assert_eq!(target.get_object(&name("w/s/manifest"), 10)?, b"{}");
    assert_eq!(target.list(Some(&name("w/s")))?.len(), 2);
    target.delete(&name("w/old"))?;
    target.delete_folder(&name("w/gone"))
}

/// Ready for `work`, with the object that it replaces and those that it removes.
fn prepare(site: &Site) {
    site.proxy.plan(None);
    site.direct.put_object(&name("w/s/i"), &old()).unwrap();
    for object in ["w/old", "w/gone/1", "w/gone/2"] {
        site.direct.put_object(&name(object), b"1").unwrap();
    }
    let mut sink = site.direct.create_image(&name("w/gone/3"), None).unwrap();
    sink.append(&data()[..5 * MIB]).unwrap();
    sink.sync().unwrap();
}

fn is_whole(site: &Site) -> bool {
    let found = content(&site.direct, &name("w/s/i"));
    let is_new = found == [head(), data()].concat();
    assert!(is_new || found == old(), "an object by halves");
    is_new
}

/// What the work leaves when it is done.
fn expect_done(site: &Site, what: &str) {
    assert!(is_whole(site), "{what}");
    let mut keys = site.server.keys();
    keys.retain(|key| !key.contains("write-test"));
    let expected = ["cloud/backups/w/s/i", "cloud/backups/w/s/manifest"];
    assert_eq!(keys, expected, "{what}");
    assert_eq!(site.server.uploads(), 0, "{what}");
}

/// Makes each request of the work go wrong once.
fn is_survived_everywhere(fault: Fault) {
    let site = site(4);
    prepare(&site);
    work(&site.target).unwrap();
    let requests = site.proxy.requests();
    assert!(requests > 20, "{requests}");
    for request in 1..=requests {
        prepare(&site);
        site.proxy.plan(Some(Plan {
            fault,
            request,
            times: 1,
        }));
        let what = format!("{fault:?} at request {request}");
        work(&site.target).unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.source));
        expect_done(&site, &what);
    }
}

#[test]
fn a_server_that_fails_once_is_asked_again() {
    is_survived_everywhere(Fault::Answer(500, "InternalError"));
}

#[test]
fn a_server_that_is_too_busy_is_asked_later() {
    is_survived_everywhere(Fault::Answer(503, "SlowDown"));
}

#[test]
fn too_many_requests_are_made_later() {
    is_survived_everywhere(Fault::Answer(429, "Whatever"));
}

#[test]
fn a_connection_that_ends_in_mid_request_is_made_again() {
    is_survived_everywhere(Fault::CutRequest);
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    is_survived_everywhere(Fault::CutAnswer);
}

#[test]
fn a_request_whose_answer_is_lost_may_be_made_twice() {
    is_survived_everywhere(Fault::LostAnswer);
}

#[test]
fn a_request_that_hangs_is_given_up_and_made_again() {
    is_survived_everywhere(Fault::Hang);
}

/// Makes all requests from each one on go wrong; then the work is begun again without faults.
fn ends_cleanly_everywhere(fault: Fault, kinds: &[ErrorKind], step: usize) {
    let site = site(2);
    prepare(&site);
    work(&site.target).unwrap();
    let requests = site.proxy.requests();
    for request in (1..=requests).step_by(step) {
        prepare(&site);
        site.proxy.plan(Some(Plan {
            fault,
            request,
            times: ALWAYS,
        }));
        let what = format!("{fault:?} from request {request} on");
        // A failure to clean up after the image is there is none of the image.
        if let Err(error) = work(&site.target) {
            assert!(
                kinds.contains(&error.kind),
                "{what}: {error} {:?}",
                error.source
            );
            site.proxy.plan(None);
            is_whole(&site);
        }
        site.proxy.plan(None);
        work(&site.target).unwrap();
        expect_done(&site, &what);
    }
}

#[test]
fn a_server_that_stays_broken_is_unavailable() {
    ends_cleanly_everywhere(
        Fault::Answer(503, "ServiceUnavailable"),
        &[ErrorKind::Unavailable],
        1,
    );
}

#[test]
fn a_server_that_has_gone_is_unavailable() {
    ends_cleanly_everywhere(Fault::CutRequest, &[ErrorKind::Unavailable], 1);
}

#[test]
fn a_server_that_answers_nothing_any_more_is_unavailable() {
    ends_cleanly_everywhere(Fault::Hang, &[ErrorKind::Unavailable], 7);
}

#[test]
fn a_full_bucket_is_full() {
    ends_cleanly_everywhere(Fault::Answer(507, "QuotaExceeded"), &[ErrorKind::Full], 1);
}

#[test]
fn a_refused_request_is_denied_and_not_repeated() {
    ends_cleanly_everywhere(Fault::Answer(403, "AccessDenied"), &[ErrorKind::Denied], 1);
    let site = site(4);
    let lasting = Plan {
        fault: Fault::Answer(403, "AccessDenied"),
        request: 1,
        times: ALWAYS,
    };
    site.proxy.plan(Some(lasting));
    site.target.put_object(&name("w/o"), b"1").unwrap_err();
    assert_eq!(site.proxy.requests(), 1);
}

#[test]
fn a_wrong_tag_of_a_part_publishes_nothing() {
    ends_cleanly_everywhere(
        Fault::WrongTag,
        &[ErrorKind::Other, ErrorKind::Unavailable],
        1,
    );
}
