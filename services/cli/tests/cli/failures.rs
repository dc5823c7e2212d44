//! What goes wrong after the login, and on the command line.

use std::process::Stdio;

use serde_json::json;

use crate::fixtures::{SERVER, SNAPSHOT, WORKLOAD, fault};
use crate::requests::full;
use crate::stub::{PROJECT, Stub};
use crate::workloadmgr::{Ended, bare, command, run, succeed};

#[test]
fn a_fault_of_the_api_is_told_in_its_words() {
    let stub = Stub::start();
    stub.on(
        "POST /workloads",
        400,
        &fault(400, "Invalid instance as x already attached"),
    );
    let ended = run(&stub, &["workload-create", "--instance", SERVER]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        "ERROR:workloadmgr:Invalid instance as x already attached\n"
    );
    stub.on(
        "GET /trusts",
        403,
        &json!({"forbidden": {"code": 403,
        "message": "Policy doesn't allow workload:trust_list to be performed."}}),
    );
    let ended = run(&stub, &["trust-list"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .starts_with("ERROR:workloadmgr:Policy doesn't allow"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_token_that_the_api_refuses_is_renewed_once_and_then_told() {
    let stub = Stub::start();
    let refused = json!({"error": {"code": 401, "title": "Unauthorized", "message": "Go away"}});
    stub.on("GET /workloads", 401, &refused)
        .on("GET /workloads", 200, &json!({"workloads": []}));
    succeed(&stub, &["workload-list"]);
    let tokens: Vec<String> = stub.asked().into_iter().map(|asked| asked.token).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
    stub.on("GET /trusts", 401, &refused);
    let ended = run(&stub, &["trust-list"]);
    assert_eq!(ended.code, 3);
    assert_eq!(ended.stderr, "ERROR:workloadmgr:Go away\n");
}

#[test]
fn an_answer_that_is_not_the_apis_is_told() {
    let stub = Stub::start();
    stub.on_text("GET /workloads", 200, "<html>Welcome to nginx</html>")
        .on_text("GET /snapshots", 502, "<html>Bad Gateway</html>")
        .on("GET /trusts", 200, &json!({"something": "else"}));
    for (command, part) in [
        ("workload-list", "answered 200, but not in JSON"),
        ("snapshot-list", "answered 502, but not in JSON"),
        ("trust-list", "lacks 'trust'"),
    ] {
        let ended = run(&stub, &[command]);
        assert_eq!(ended.code, 3, "{command}");
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn an_api_that_is_down_is_told_with_its_url() {
    let stub = Stub::start();
    stub.catalog(
        json!([{"id": "w", "type": "workloads", "name": "backstay", "endpoints": [
        {"id": "e", "interface": "public", "region": "One", "region_id": "One",
         "url": format!("http://127.0.0.1:1/v1/{PROJECT}")}]}]),
    );
    let ended = run(&stub, &["workload-list"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("the API at http://127.0.0.1:1/v1/"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_wrong_command_line_ends_with_2_before_anything_is_sent() {
    let stub = full();
    for (arguments, part) in [
        (vec!["workload-show"], "workloadmgr workload-show: error: "),
        (vec!["workload-create"], "--instance"),
        (
            vec!["workload-create", "--instance", "web-1"],
            "not its name",
        ),
        (
            vec![
                "workload-create",
                "--instance",
                SERVER,
                "--jobschedule",
                "intervall=1",
            ],
            "intervall",
        ),
        (
            vec!["workload-create", "--instance", SERVER, "--metadata", "x"],
            "key=value",
        ),
        (vec!["workload-modify", WORKLOAD], "nothing to change"),
        (
            vec!["snapshot-list", "--date_from", "yesterday"],
            "YYYY-MM-DDTHH:MM:SS",
        ),
        (vec!["snapshot-show", SNAPSHOT, "-f", "xml"], "xml"),
        (
            vec!["workload-snapshot", WORKLOAD, "--timeout", "5"],
            "--wait",
        ),
        (
            vec!["workload-snapshot", WORKLOAD, "--wait", "--poll", "0"],
            "more than 0 seconds",
        ),
        (vec!["no-such-command"], "workloadmgr: error: "),
    ] {
        let ended = run(&stub, &arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(part),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
    assert!(stub.lines().is_empty());
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let stub = full();
    let mut child = command(&stub, &["workload-list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let mut child = bare(&["complete", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_message_cannot_steer_the_terminal() {
    let stub = Stub::start();
    stub.on("GET /trusts", 400, &fault(400, "\u{1b}[2Jgone"));
    let ended = run(&stub, &["trust-list"]);
    assert_eq!(ended.stderr, "ERROR:workloadmgr:\\u{1b}[2Jgone\n");
}
