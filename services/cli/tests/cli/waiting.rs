//! `--wait`: progress, the end of the job, and ends of the waiting before that.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::fixtures::{RESTORE, SERVER, SNAPSHOT, WORKLOAD, fault, restore, snapshot, workload};
use crate::stub::Stub;
use crate::workloadmgr::{Ended, command, run, succeed};

const QUICK: [&str; 3] = ["--wait", "--poll", "0.02"];

/// An API that has a workload and a snapshot to begin with.
fn begin() -> Stub {
    let stub = Stub::start();
    stub.on(
        &format!("GET /workloads/{WORKLOAD}"),
        200,
        &json!({"workload": workload("available")}),
    );
    stub
}

/// An API whose new snapshot goes through these states.
fn snapshot_that_is(states: &[&str]) -> Stub {
    let stub = begin();
    let made = json!({"snapshot": snapshot("creating")});
    stub.on(&format!("POST /workloads/{WORKLOAD}"), 202, &made);
    for state in states {
        let one = json!({"snapshot": snapshot(state)});
        stub.on(&format!("GET /snapshots/{SNAPSHOT}"), 200, &one);
    }
    stub
}

fn take(more: &[&'static str]) -> Vec<&'static str> {
    [&["workload-snapshot", WORKLOAD][..], &QUICK, more].concat()
}

#[test]
fn a_snapshot_is_awaited_and_shown_as_it_ended() {
    let stub = snapshot_that_is(&["creating", "uploading", "uploading", "available"]);
    let ended = succeed(&stub, &take(&["-f", "value", "-c", "status"]));
    assert_eq!(ended.stdout, "available\n");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(
        lines.len(),
        2,
        "at most one line each few seconds: {}",
        ended.stderr
    );
    assert_eq!(
        lines[0],
        format!("[0:00] snapshot {SNAPSHOT}: creating 50 % (1.0 GiB of 2.0 GiB), disk 1 of 2")
    );
    assert!(lines[1].contains("available"), "{}", ended.stderr);
    assert_eq!(stub.lines().len(), 6);
}

#[test]
fn a_failed_or_cancelled_job_ends_with_1_and_its_reason() {
    for state in ["error", "cancelled"] {
        let stub = begin();
        let mut bad = snapshot(state);
        bad["error_msg"] = json!("The target is full");
        stub.on(
            &format!("POST /workloads/{WORKLOAD}"),
            202,
            &json!({"snapshot": snapshot("creating")}),
        )
        .on(
            &format!("GET /snapshots/{SNAPSHOT}"),
            200,
            &json!({"snapshot": bad}),
        );
        let ended = run(&stub, &take(&[]));
        assert_eq!(ended.code, 1);
        assert_eq!(ended.stdout, "");
        assert_eq!(
            ended.stderr,
            format!(
                "ERROR:workloadmgr:snapshot {SNAPSHOT}: its status is {state}: \
                The target is full\n"
            )
        );
    }
}

#[test]
fn the_time_limit_ends_the_waiting_with_4_and_says_how_to_look() {
    let stub = snapshot_that_is(&["uploading"]);
    let ended = run(&stub, &take(&["--timeout", "0.3"]));
    assert_eq!(ended.code, 4);
    assert!(
        ended.stderr.ends_with(&format!(
            "ERROR:workloadmgr:Not ended after 0.3 seconds; the job on \
            snapshot {SNAPSHOT} goes on. To look: workloadmgr snapshot-show {SNAPSHOT}, to cancel: \
            workloadmgr snapshot-cancel {SNAPSHOT}\n"
        )),
        "{}",
        ended.stderr
    );
}

#[test]
fn ctrl_c_leaves_the_job_alone_and_says_so() {
    let stub = snapshot_that_is(&["uploading"]);
    let child = command(&stub, &take(&[]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    stub.wait_for(&format!("GET /snapshots/{SNAPSHOT}"), 3);
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("Interrupted; the job on snapshot"),
        "{last}"
    );
    assert!(last.contains("workloadmgr snapshot-cancel"), "{last}");
    assert!(!stub.lines().iter().any(|line| line.contains("cancel")));
}

#[test]
fn an_api_that_is_restarted_is_asked_again() {
    let stub = begin();
    let show = format!("GET /snapshots/{SNAPSHOT}");
    stub.on(
        &format!("POST /workloads/{WORKLOAD}"),
        202,
        &json!({"snapshot": snapshot("creating")}),
    )
    .on_text(&show, 502, "<html>Bad Gateway</html>")
    .on(&show, 503, &fault(503, "The database is away"))
    .on(&show, 200, &json!({"snapshot": snapshot("available")}));
    let ended = succeed(&stub, &take(&["-f", "value", "-c", "id"]));
    assert_eq!(ended.stdout, format!("{SNAPSHOT}\n"));
    assert!(ended.stderr.contains("asking again"), "{}", ended.stderr);
}

#[test]
fn a_token_that_expires_while_waiting_is_renewed() {
    let stub = begin();
    let show = format!("GET /snapshots/{SNAPSHOT}");
    stub.on(
        &format!("POST /workloads/{WORKLOAD}"),
        202,
        &json!({"snapshot": snapshot("creating")}),
    )
    .on(&show, 200, &json!({"snapshot": snapshot("uploading")}))
    .on(&show, 401, &fault(401, "expired"))
    .on(&show, 200, &json!({"snapshot": snapshot("available")}));
    succeed(&stub, &take(&[]));
    let methods: Vec<Value> = stub
        .logins()
        .iter()
        .map(|login| login["auth"]["identity"]["methods"][0].clone())
        .collect();
    assert_eq!(methods.last(), Some(&json!("password")), "{methods:?}");
}

#[test]
fn a_workload_and_a_restore_are_awaited() {
    let stub = Stub::start();
    stub.on(
        "POST /workloads",
        202,
        &json!({"workload": workload("creating")}),
    )
    .on(
        &format!("GET /workloads/{WORKLOAD}"),
        200,
        &json!({"workload": workload("creating")}),
    )
    .on(
        &format!("GET /workloads/{WORKLOAD}"),
        200,
        &json!({"workload": workload("available")}),
    )
    .on(
        &format!("GET /snapshots/{SNAPSHOT}"),
        200,
        &json!({"snapshot": snapshot("available")}),
    )
    .on(
        &format!("POST /snapshots/{SNAPSHOT}"),
        202,
        &json!({"restore": restore("restoring")}),
    )
    .on(
        &format!("GET /restores/{RESTORE}"),
        200,
        &json!({"restore": restore("restoring")}),
    )
    .on(
        &format!("GET /restores/{RESTORE}"),
        200,
        &json!({"restore": restore("available")}),
    );
    let status = ["-f", "value", "-c", "status"];
    let create = [
        &["workload-create", "--instance", SERVER][..],
        &QUICK,
        &status,
    ]
    .concat();
    assert_eq!(succeed(&stub, &create).stdout, "available\n");
    let restore = [
        &["snapshot-oneclick-restore", SNAPSHOT][..],
        &QUICK,
        &status,
    ]
    .concat();
    assert_eq!(succeed(&stub, &restore).stdout, "available\n");
    assert_eq!(stub.lines().len(), 7);
}

#[test]
fn deletions_are_awaited_until_the_thing_is_gone() {
    let stub = Stub::start();
    let show = format!("GET /snapshots/{SNAPSHOT}");
    stub.on(&format!("DELETE /snapshots/{SNAPSHOT}"), 202, &json!({}))
        .on(&show, 200, &json!({"snapshot": snapshot("available")}))
        .on(&show, 200, &json!({"snapshot": snapshot("deleting")}))
        .on(&show, 404, &fault(404, "gone"))
        .on(&format!("DELETE /workloads/{WORKLOAD}"), 202, &json!({}))
        .on(
            &format!("GET /workloads/{WORKLOAD}"),
            200,
            &json!({"workload": workload("available")}),
        )
        .on(
            &format!("GET /workloads/{WORKLOAD}"),
            200,
            &json!({"workload": workload("deleted")}),
        );
    let ended = succeed(
        &stub,
        &[&["snapshot-delete", SNAPSHOT][..], &QUICK].concat(),
    );
    assert_eq!(ended.stdout, "");
    assert!(
        ended
            .stderr
            .ends_with(&format!("snapshot {SNAPSHOT}: deleted\n")),
        "{}",
        ended.stderr
    );
    succeed(
        &stub,
        &[&["workload-delete", WORKLOAD][..], &QUICK].concat(),
    );
}

#[test]
fn a_deletion_that_fails_ends_with_1() {
    let stub = Stub::start();
    let show = format!("GET /snapshots/{SNAPSHOT}");
    let mut bad = snapshot("error");
    bad["error_msg"] = json!("The target is read-only");
    stub.on(&format!("DELETE /snapshots/{SNAPSHOT}"), 202, &json!({}))
        .on(&show, 200, &json!({"snapshot": snapshot("available")}))
        .on(&show, 200, &json!({"snapshot": snapshot("deleting")}))
        .on(&show, 200, &json!({"snapshot": bad}));
    let ended = run(
        &stub,
        &[&["snapshot-delete", SNAPSHOT][..], &QUICK].concat(),
    );
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("The target is read-only"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_verification_ends_with_what_it_found() {
    let whole = json!("2026-11-21T10:00:00.000000");
    for (verified_at, damage, code, told) in [
        (&whole, json!(null), 0, "nothing is damaged"),
        (&whole, json!("vda is damaged"), 1, "vda is damaged"),
        (&json!(null), json!(null), 1, "It could not be verified"),
    ] {
        let stub = Stub::start();
        let show = format!("GET /snapshots/{SNAPSHOT}");
        let mut after = snapshot("available");
        after["verified_at"] = verified_at.clone();
        after["damage_msg"] = damage;
        after["progress_msg"] = json!(if verified_at.is_null() {
            "It could not be verified: nobody is there"
        } else {
            "Verified: nothing is damaged"
        });
        stub.on(
            &format!("POST /snapshots/{SNAPSHOT}/verify"),
            202,
            &json!({"snapshot": snapshot("verifying")}),
        )
        .on(&show, 200, &json!({"snapshot": snapshot("available")}))
        .on(&show, 200, &json!({"snapshot": snapshot("verifying")}))
        .on(&show, 200, &json!({"snapshot": after}));
        let ended = run(
            &stub,
            &[&["snapshot-verify", SNAPSHOT][..], &QUICK].concat(),
        );
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(told), "{all}");
    }
}

#[test]
fn on_a_terminal_one_line_is_written_over() {
    let stub = snapshot_that_is(&["creating", "uploading", "available"]);
    let plain = command(&stub, &take(&["-f", "value", "-c", "status"]));
    let line: Vec<String> = std::iter::once(plain.get_program())
        .chain(plain.get_args())
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    // script(1) runs it on a terminal of its own.
    let mut terminal = Command::new("script");
    terminal.args([
        "--quiet",
        "--return",
        "--command",
        &line.join(" "),
        "/dev/null",
    ]);
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    let ended: Ended = terminal.stdin(Stdio::null()).output().unwrap().into();
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let begin = "\r\u{1b}[K[0:00] snapshot";
    assert!(
        ended.stdout.matches(begin).count() >= 3,
        "{:?}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("uploading 50 %"),
        "{:?}",
        ended.stdout
    );
}
