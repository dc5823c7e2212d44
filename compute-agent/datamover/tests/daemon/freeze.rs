use std::fs;
use std::time::{Duration, Instant};

use agent_contract::{Answer, FreezeOutcome, FreezeRequest, Question, RefusalKind};
use nix::sys::signal::Signal;
use uuid::Uuid;

use crate::datamover::{Datamover, LIMIT, open_to_all};

const SERVER: &str = "5c1dbf4e-9a75-4d29-8f1e-2a4f0c6a1c11";

async fn datamover_with_guest(mode: &str) -> Datamover {
    let datamover = Datamover::start("").await;
    let guest = datamover.path("guest");
    fs::create_dir(&guest).unwrap();
    open_to_all(&guest);
    fs::write(guest.join("asked"), "").unwrap();
    open_to_all(&guest.join("asked"));
    fs::write(datamover.path("bin/virsh"), include_str!("virsh.sh")).unwrap();
    open_to_all(&datamover.path("bin/virsh"));
    set_mode(&datamover, mode);
    datamover
}

fn set_mode(datamover: &Datamover, mode: &str) {
    fs::write(datamover.path("guest/mode"), mode).unwrap();
}

fn is_frozen(datamover: &Datamover) -> bool {
    datamover.path("guest/frozen").exists()
}

async fn freeze(datamover: &Datamover, id: Uuid, deadline_seconds: u32) -> Answer {
    let request = FreezeRequest {
        epoch: 3,
        server_id: SERVER.into(),
        deadline_seconds,
    };
    datamover.ask(Question::FreezeStart { id, request }).await
}

async fn until_thawed(datamover: &Datamover) {
    let limit = Instant::now() + LIMIT;
    while is_frozen(datamover) {
        assert!(Instant::now() < limit, "{}", datamover.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_frozen_once_and_thawed_in_time() {
    let datamover = datamover_with_guest("ok").await;
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let answer = freeze(&datamover, id, 60).await;
        assert_eq!(
            answer,
            Answer::Freeze(FreezeOutcome::Frozen { filesystems: 2 })
        );
    }
    assert!(is_frozen(&datamover));
    let Answer::Refused(refusal) = freeze(&datamover, Uuid::new_v4(), 60).await else {
        panic!("frozen twice");
    };
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    for _ in 0..2 {
        let answer = datamover.ask(Question::FreezeEnd { id }).await;
        assert_eq!(
            answer,
            Answer::Freeze(FreezeOutcome::Thawed { in_time: true })
        );
        assert!(!is_frozen(&datamover));
    }
    let asked = fs::read_to_string(datamover.path("guest/asked")).unwrap();
    assert_eq!(asked.matches("freeze-freeze").count(), 1);
    let unknown = datamover
        .ask(Question::FreezeEnd { id: Uuid::new_v4() })
        .await;
    assert_eq!(
        unknown,
        Answer::Freeze(FreezeOutcome::Thawed { in_time: false })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_thaws_by_itself_at_its_deadline_and_the_caller_is_told() {
    let datamover = datamover_with_guest("ok").await;
    let id = Uuid::new_v4();
    freeze(&datamover, id, 1).await;
    until_thawed(&datamover).await;
    let answer = datamover.ask(Question::FreezeEnd { id }).await;
    assert_eq!(
        answer,
        Answer::Freeze(FreezeOutcome::Thawed { in_time: false })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_thawed_after_a_kill_of_the_datamover() {
    let mut datamover = datamover_with_guest("ok").await;
    // The deadline passes while the program is away.
    let id = Uuid::new_v4();
    freeze(&datamover, id, 1).await;
    datamover.end(Signal::SIGKILL);
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_millis(1200) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_frozen(&datamover));
    datamover.start_again().await;
    until_thawed(&datamover).await;
    // The deadline comes after the program is back.
    let id = Uuid::new_v4();
    freeze(&datamover, id, 8).await;
    datamover.end(Signal::SIGKILL);
    datamover.start_again().await;
    until_thawed(&datamover).await;
    let answer = datamover.ask(Question::FreezeEnd { id }).await;
    assert_eq!(
        answer,
        Answer::Freeze(FreezeOutcome::Thawed { in_time: false })
    );
    // And the caller may still be in time.
    let id = Uuid::new_v4();
    freeze(&datamover, id, 60).await;
    datamover.end(Signal::SIGTERM);
    datamover.start_again().await;
    assert!(is_frozen(&datamover));
    let answer = datamover.ask(Question::FreezeEnd { id }).await;
    assert_eq!(
        answer,
        Answer::Freeze(FreezeOutcome::Thawed { in_time: true })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_an_agent_that_answers_is_not_waited_for() {
    let datamover = datamover_with_guest("no-agent").await;
    for mode in ["no-agent", "hang", "refuse"] {
        set_mode(&datamover, mode);
        let began = Instant::now();
        let answer = freeze(&datamover, Uuid::new_v4(), 30).await;
        let Answer::Freeze(FreezeOutcome::NotPossible { reason }) = answer else {
            panic!("{mode}: {answer:?}");
        };
        assert!(
            !reason.is_empty() && began.elapsed() < Duration::from_secs(10),
            "{mode} {reason}"
        );
    }
    // A freeze that failed is followed by a thaw, in case it came late.
    let asked = fs::read_to_string(datamover.path("guest/asked")).unwrap();
    assert!(
        asked
            .trim_end()
            .ends_with("{\"execute\":\"guest-fsfreeze-thaw\"}"),
        "{asked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused() {
    let datamover = datamover_with_guest("ok").await;
    for (server_id, deadline_seconds) in [(SERVER, 0), (SERVER, 100_000), ("--help", 30)] {
        let request = FreezeRequest {
            epoch: 1,
            server_id: server_id.into(),
            deadline_seconds,
        };
        let id = Uuid::new_v4();
        let answer = datamover.ask(Question::FreezeStart { id, request }).await;
        let Answer::Refused(refusal) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(refusal.kind, RefusalKind::Invalid);
    }
    assert_eq!(
        fs::read_to_string(datamover.path("guest/asked")).unwrap(),
        ""
    );
}
