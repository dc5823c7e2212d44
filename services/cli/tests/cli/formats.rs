//! What every command prints, in each format: `expected/COMMAND.txt`.

use std::path::PathBuf;

use crate::expected::compare;
use crate::fixtures::{RESTORE, SERIAL, SERVER, SNAPSHOT, TRUST, WORKLOAD};
use crate::requests::full;
use crate::stub::Stub;
use crate::workloadmgr::{run, succeed};

const FORMATS: [&str; 5] = ["table", "json", "yaml", "value", "csv"];

fn compare_all(name: &str, arguments: &[&str]) {
    let stub = full();
    let mut text = String::new();
    for format in FORMATS {
        let arguments = [arguments, &["-f", format]].concat();
        text.push_str(&format!("$ workloadmgr {}\n", arguments.join(" ")));
        text.push_str(&succeed(&stub, &arguments).stdout);
        text.push('\n');
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected");
    compare(&folder.join(format!("{name}.txt")), &text);
}

#[test]
fn workload_commands_print_what_is_expected() {
    compare_all("workload-list", &["workload-list"]);
    compare_all("workload-show", &["workload-show", WORKLOAD]);
    compare_all(
        "workload-create",
        &["workload-create", "--instance", SERVER],
    );
    compare_all(
        "workload-modify",
        &["workload-modify", WORKLOAD, "--display-name", "web"],
    );
    compare_all("workload-snapshot", &["workload-snapshot", WORKLOAD]);
    compare_all("workload-type-list", &["workload-type-list"]);
    compare_all("workload-type-show", &["workload-type-show", SERIAL]);
}

#[test]
fn snapshot_commands_print_what_is_expected() {
    compare_all("snapshot-list", &["snapshot-list"]);
    compare_all("snapshot-show", &["snapshot-show", SNAPSHOT]);
    for part in ["metadata", "networks", "disks"] {
        compare_all(
            &format!("snapshot-show-{part}"),
            &["snapshot-show", "--output", part, SNAPSHOT],
        );
    }
    compare_all(
        "snapshot-oneclick-restore",
        &["snapshot-oneclick-restore", SNAPSHOT],
    );
}

#[test]
fn restore_and_trust_commands_print_what_is_expected() {
    compare_all("restore-list", &["restore-list"]);
    compare_all("restore-show", &["restore-show", RESTORE]);
    compare_all(
        "restore-show-instances",
        &["restore-show", RESTORE, "--output", "instances"],
    );
    compare_all("trust-list", &["trust-list"]);
    compare_all("trust-show", &["trust-show", TRUST]);
    compare_all("trust-create", &["trust-create", "member"]);
}

#[test]
fn columns_are_picked_and_unknown_ones_refused_with_the_known() {
    let stub = full();
    let ended = succeed(
        &stub,
        &["workload-list", "-f", "value", "-c", "Name", "-c", "ID"],
    );
    assert_eq!(ended.stdout, format!("{WORKLOAD} web\n"));
    let ended = succeed(
        &stub,
        &["snapshot-show", SNAPSHOT, "-f", "value", "-c", "status"],
    );
    assert_eq!(ended.stdout, "available\n");
    let ended = run(&stub, &["trust-list", "-c", "id"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.stderr,
        "ERROR:workloadmgr:No recognized column names in ['id']. Recognized columns are \
         ['TrustID', 'Keystone Trust ID', 'User ID', 'Project ID', 'Status', 'Created At'].\n"
    );
}

#[test]
fn tables_wrap_and_json_may_stand_in_one_line() {
    let stub = full();
    let ended = succeed(&stub, &["workload-show", WORKLOAD, "--max-width", "60"]);
    assert!(
        ended.stdout.lines().all(|line| line.chars().count() <= 60),
        "{}",
        ended.stdout
    );
    let ended = succeed(&stub, &["workload-type-list", "-f", "json", "--noindent"]);
    assert_eq!(
        ended.stdout,
        format!("[{{\"ID\":\"{SERIAL}\",\"Name\":\"Serial\"}}]\n")
    );
    let ended = succeed(
        &stub,
        &["workload-type-list", "-f", "csv", "--quote", "minimal"],
    );
    assert_eq!(ended.stdout, format!("ID,Name\n{SERIAL},Serial\n"));
}

#[test]
fn an_empty_list_prints_an_empty_line_or_its_head_and_is_valid_json() {
    let stub = Stub::start();
    stub.on("GET /snapshots", 200, &serde_json::json!({"snapshots": []}));
    assert_eq!(succeed(&stub, &["snapshot-list"]).stdout, "\n");
    assert!(
        succeed(&stub, &["snapshot-list", "--print-empty"])
            .stdout
            .contains("| Name |")
    );
    assert_eq!(
        succeed(&stub, &["snapshot-list", "-f", "json"]).stdout,
        "[]\n"
    );
    assert_eq!(succeed(&stub, &["snapshot-list", "-f", "value"]).stdout, "");
}
