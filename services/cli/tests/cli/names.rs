//! Names instead of IDs.

use serde_json::json;

use crate::fixtures::{SNAPSHOT, WORKLOAD, fault, snapshot, workload};
use crate::requests::full;
use crate::stub::Stub;
use crate::workloadmgr::{run, succeed};

#[test]
fn a_name_is_looked_up() {
    let stub = full();
    succeed(&stub, &["workload-show", "web"]);
    assert_eq!(
        stub.lines(),
        [
            "GET /workloads".to_owned(),
            format!("GET /workloads/{WORKLOAD}")
        ]
    );
    let stub = full();
    succeed(&stub, &["snapshot-delete", "before"]);
    assert_eq!(
        stub.lines().last(),
        Some(&format!("DELETE /snapshots/{SNAPSHOT}"))
    );
    let stub = full();
    succeed(
        &stub,
        &[
            "snapshot-list",
            "--workload_id",
            WORKLOAD,
            "--tvault_node",
            "node-1",
            "--date_from",
            "2026-01-01T00:00:00",
            "--date_to",
            "2026-12-31T00:00:00",
            "--all",
        ],
    );
    assert_eq!(stub.lines().len(), 1);
}

#[test]
fn what_does_not_exist_is_named_in_the_error() {
    let stub = full();
    for what in [
        "nope",
        "ffffffff-0000-4000-8000-000000000001",
        "../workloads",
    ] {
        for (command, noun) in [
            ("workload-show", "workload"),
            ("workload-snapshot", "workload"),
            ("workload-unlock", "workload"),
            ("workload-delete", "workload"),
            ("snapshot-show", "snapshot"),
            ("snapshot-cancel", "snapshot"),
            ("snapshot-delete", "snapshot"),
            ("snapshot-oneclick-restore", "snapshot"),
            ("restore-cancel", "restore"),
            ("restore-delete", "restore"),
        ] {
            let ended = run(&stub, &[command, what]);
            assert_eq!(ended.code, 1);
            assert_eq!(
                ended.stderr,
                format!("ERROR:workloadmgr:No {noun} with a name or ID of '{what}' exists.\n")
            );
        }
    }
    assert!(stub.lines().iter().all(|line| line.starts_with("GET ")));
    let ended = run(&stub, &["trust-show", "nope"]);
    assert_eq!(
        ended.stderr,
        "ERROR:workloadmgr:No trust with a name or ID of 'nope' exists.\n"
    );
}

#[test]
fn a_name_that_several_bear_is_refused_with_their_ids() {
    let stub = Stub::start();
    let mut second = snapshot("available");
    second["id"] = json!("other-id");
    stub.on(
        "GET /snapshots",
        200,
        &json!({"snapshots": [snapshot("available"), second]}),
    );
    let ended = run(&stub, &["snapshot-cancel", "before"]);
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stderr,
        format!(
            "ERROR:workloadmgr:More than one snapshot is named 'before', say which by its ID: \
            {SNAPSHOT}, other-id\n"
        )
    );
    assert_eq!(stub.lines(), ["GET /snapshots"]);
}

#[test]
fn an_id_that_is_not_there_may_be_a_name() {
    let stub = Stub::start();
    let name = "ffffffff-0000-4000-8000-000000000001";
    let mut odd = workload("available");
    odd["name"] = json!(name);
    stub.on(&format!("GET /workloads/{name}"), 404, &fault(404, "no"))
        .on("GET /workloads", 200, &json!({"workloads": [odd]}))
        .on(
            &format!("GET /workloads/{WORKLOAD}"),
            200,
            &json!({"workload": odd}),
        );
    let ended = succeed(&stub, &["workload-show", name, "-f", "value", "-c", "id"]);
    assert_eq!(ended.stdout, format!("{WORKLOAD}\n"));
}
