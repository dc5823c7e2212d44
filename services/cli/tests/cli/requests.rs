//! Every command asks the API what the contract says.

use serde_json::{Value, json};

use crate::fixtures::{
    RESTORE, SERIAL, SERVER, SNAPSHOT, TRUST, WORKLOAD, restore, snapshot, trust, workload,
    workload_type,
};
use crate::stub::{PROJECT, Stub};
use crate::workloadmgr::succeed;

/// Tells all fixtures, runs the command and gives what was asked: lines, and the last body.
fn asked(arguments: &[&str]) -> (Vec<String>, Value) {
    let stub = full();
    succeed(&stub, arguments);
    let asked = stub.asked();
    assert!(asked.iter().all(|request| request.project == PROJECT));
    assert!(asked.iter().all(|request| request.token == "gAAAA-token-1"));
    let body = asked
        .iter()
        .rev()
        .map(|one| one.body.clone())
        .find(|body| !body.is_null());
    (stub.lines(), body.unwrap_or_default())
}

/// An API in which one of each exists.
pub(crate) fn full() -> Stub {
    let stub = Stub::start();
    let workload = json!({"workload": workload("available")});
    let snapshot = json!({"snapshot": snapshot("available")});
    let restore = json!({"restore": restore("available")});
    let trusts = json!({"trust": [trust()]});
    let workloads = json!({"workloads": [workload["workload"]]});
    let snapshots = json!({"snapshots": [snapshot["snapshot"]]});
    let restores = json!({"restores": [restore["restore"]]});
    for (line, status, body) in [
        ("GET /workloads".to_owned(), 200, &workloads),
        (
            "GET /workloads?all_workloads=True&nfs_share=a%3A%2Fb&project_id=p".to_owned(),
            200,
            &workloads,
        ),
        (format!("GET /workloads/{WORKLOAD}"), 200, &workload),
        ("POST /workloads".to_owned(), 202, &workload),
        (format!("PUT /workloads/{WORKLOAD}"), 202, &Value::Null),
        (format!("DELETE /workloads/{WORKLOAD}"), 202, &Value::Null),
        (
            format!("DELETE /workloads/{WORKLOAD}?database_only=True"),
            202,
            &Value::Null,
        ),
        (
            format!("POST /workloads/{WORKLOAD}/unlock"),
            202,
            &Value::Null,
        ),
        (format!("POST /workloads/{WORKLOAD}"), 202, &snapshot),
        (format!("POST /workloads/{WORKLOAD}?full=1"), 202, &snapshot),
        (
            "GET /workload_types".to_owned(),
            200,
            &json!({"workload_types": [workload_type()]}),
        ),
        (
            format!("GET /workload_types/{SERIAL}"),
            200,
            &json!({"workload_type": workload_type()}),
        ),
        ("GET /snapshots".to_owned(), 200, &snapshots),
        (
            format!(
                "GET /snapshots?workload_id={WORKLOAD}&host=node-1&date_from=2026-01-01T00%3A00%3A00\
            &date_to=2026-12-31T00%3A00%3A00&all=True"
            ),
            200,
            &snapshots,
        ),
        (format!("GET /snapshots/{SNAPSHOT}"), 200, &snapshot),
        (
            format!("GET /snapshots/{SNAPSHOT}/cancel"),
            202,
            &Value::Null,
        ),
        (format!("POST /snapshots/{SNAPSHOT}/verify"), 202, &snapshot),
        (format!("DELETE /snapshots/{SNAPSHOT}"), 202, &Value::Null),
        (format!("POST /snapshots/{SNAPSHOT}"), 202, &restore),
        ("GET /restores".to_owned(), 200, &restores),
        ("GET /restores/detail".to_owned(), 200, &restores),
        (
            format!("GET /restores/detail?snapshot_id={SNAPSHOT}"),
            200,
            &restores,
        ),
        (format!("GET /restores/{RESTORE}"), 200, &restore),
        (format!("GET /restores/{RESTORE}/cancel"), 202, &Value::Null),
        (format!("DELETE /restores/{RESTORE}"), 202, &Value::Null),
        ("GET /trusts".to_owned(), 200, &trusts),
        ("POST /trusts".to_owned(), 200, &trusts),
        (format!("DELETE /trusts/{TRUST}"), 200, &Value::Null),
    ] {
        if body.is_null() {
            stub.on_text(&line, status, "");
        } else {
            stub.on(&line, status, body);
        }
    }
    stub
}

fn lines(arguments: &[&str]) -> Vec<String> {
    asked(arguments).0
}

#[test]
fn lists_send_their_filters() {
    assert_eq!(lines(&["workload-list"]), ["GET /workloads"]);
    assert_eq!(
        lines(&[
            "workload-list",
            "--all",
            "True",
            "--nfsshare",
            "a:/b",
            "--project_id",
            "p"
        ]),
        ["GET /workloads?all_workloads=True&nfs_share=a%3A%2Fb&project_id=p"]
    );
    assert_eq!(lines(&["workload-type-list"]), ["GET /workload_types"]);
    assert_eq!(lines(&["snapshot-list"]), ["GET /snapshots"]);
    let filters = [
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
    ];
    assert_eq!(
        lines(&filters),
        [format!(
            "GET /snapshots?workload_id={WORKLOAD}&host=node-1&date_from=2026-01-01T00%3A00%3A00\
            &date_to=2026-12-31T00%3A00%3A00&all=True"
        )]
    );
    assert_eq!(lines(&["restore-list"]), ["GET /restores/detail"]);
    assert_eq!(
        lines(&["restore-list", "--snapshot_id", SNAPSHOT]),
        [format!("GET /restores/detail?snapshot_id={SNAPSHOT}")]
    );
    assert_eq!(lines(&["trust-list"]), ["GET /trusts"]);
}

#[test]
fn shows_ask_for_one_object() {
    for (command, id, path) in [
        ("workload-show", WORKLOAD, "workloads"),
        ("workload-type-show", SERIAL, "workload_types"),
        ("snapshot-show", SNAPSHOT, "snapshots"),
        ("restore-show", RESTORE, "restores"),
    ] {
        assert_eq!(lines(&[command, id]), [format!("GET /{path}/{id}")]);
    }
    assert_eq!(lines(&["trust-show", TRUST]), ["GET /trusts"]);
}

#[test]
fn workload_create_sends_the_whole_request() {
    let other = "dddddddd-0000-4000-8000-000000000002";
    let (lines, body) = asked(&[
        "workload-create",
        "--instance",
        &format!("instance-id={SERVER}"),
        "--instance",
        other,
        "--workload-type-id",
        SERIAL,
        "--display-name",
        "web",
        "--display-description",
        "the shop",
        "--source-platform",
        "openstack",
        "--jobschedule",
        "enabled=True",
        "--jobschedule",
        "interval=4 hrs",
        "--metadata",
        "team=a",
        "--policy-id",
        "p1",
    ]);
    assert_eq!(lines, ["POST /workloads"]);
    assert_eq!(
        body,
        json!({"workload": {
        "name": "web", "description": "the shop", "source_platform": "openstack",
        "workload_type_id": SERIAL,
        "instances": [{"instance-id": SERVER}, {"instance-id": other}],
        "jobschedule": {"enabled": "True", "interval": "4 hrs"},
        "metadata": {"team": "a", "policy_id": "p1"}}})
    );
}

#[test]
fn workload_create_takes_a_type_by_its_name_and_leaves_the_default_to_the_api() {
    let (lines, body) = asked(&[
        "workload-create",
        "--instance",
        SERVER,
        "--workload-type-id",
        "Serial",
    ]);
    assert_eq!(lines, ["GET /workload_types", "POST /workloads"]);
    assert_eq!(body["workload"]["workload_type_id"], SERIAL);
    let (_, body) = asked(&["workload-create", "--instance", SERVER]);
    assert_eq!(body["workload"].get("workload_type_id"), None);
    assert_eq!(body["workload"]["jobschedule"], json!({}));
}

#[test]
fn workload_modify_sends_only_what_changes_and_keeps_other_metadata() {
    let show = format!("GET /workloads/{WORKLOAD}");
    let put = format!("PUT /workloads/{WORKLOAD}");
    let (lines, body) = asked(&["workload-modify", WORKLOAD, "--display-name", "new"]);
    assert_eq!(lines, [show.clone(), put, show]);
    assert_eq!(body, json!({"workload": {"name": "new"}}));
    let (_, body) = asked(&[
        "workload-modify",
        WORKLOAD,
        "--instance",
        SERVER,
        "--jobschedule",
        "enabled=False",
        "--metadata",
        "x=1",
        "--display-description",
        "d",
    ]);
    assert_eq!(
        body,
        json!({"workload": {"description": "d", "jobschedule": {"enabled": "False"},
        "instances": [{"instance-id": SERVER}], "metadata": {"team": "a", "x": "1"}}})
    );
}

#[test]
fn the_query_decides_whether_a_snapshot_is_full() {
    let (lines, body) = asked(&["workload-snapshot", WORKLOAD]);
    assert_eq!(lines.last(), Some(&format!("POST /workloads/{WORKLOAD}")));
    assert_eq!(body, json!({"snapshot": {"full": false}}));
    let (lines, body) = asked(&[
        "workload-snapshot",
        WORKLOAD,
        "--full",
        "--display-name",
        "s",
        "--display-description",
        "d",
    ]);
    assert_eq!(
        lines.last(),
        Some(&format!("POST /workloads/{WORKLOAD}?full=1"))
    );
    assert_eq!(
        body,
        json!({"snapshot": {"full": true, "name": "s", "description": "d"}})
    );
}

#[test]
fn a_oneclick_restore_says_so_in_its_options() {
    let (lines, body) = asked(&[
        "snapshot-oneclick-restore",
        SNAPSHOT,
        "--display-name",
        "back",
    ]);
    let look = format!("GET /snapshots/{SNAPSHOT}");
    assert_eq!(lines, [look, format!("POST /snapshots/{SNAPSHOT}")]);
    assert_eq!(
        body,
        json!({"restore": {"name": "back", "description": "", "options": {
        "name": "back", "description": "", "type": "openstack", "oneclickrestore": true,
        "restore_type": "oneclick", "openstack": {"instances": [], "zone": ""}}}})
    );
}

#[test]
fn unlock_cancel_and_delete_print_nothing() {
    for (arguments, last) in [
        (
            vec!["workload-unlock", WORKLOAD],
            format!("POST /workloads/{WORKLOAD}/unlock"),
        ),
        (
            vec!["workload-delete", WORKLOAD],
            format!("DELETE /workloads/{WORKLOAD}"),
        ),
        (
            vec!["workload-delete", "--database_only", WORKLOAD],
            format!("DELETE /workloads/{WORKLOAD}?database_only=True"),
        ),
        (
            vec!["snapshot-cancel", SNAPSHOT],
            format!("GET /snapshots/{SNAPSHOT}/cancel"),
        ),
        (
            vec!["snapshot-verify", SNAPSHOT],
            format!("POST /snapshots/{SNAPSHOT}/verify"),
        ),
        (
            vec!["snapshot-delete", SNAPSHOT],
            format!("DELETE /snapshots/{SNAPSHOT}"),
        ),
        (
            vec!["restore-cancel", RESTORE],
            format!("GET /restores/{RESTORE}/cancel"),
        ),
        (
            vec!["restore-delete", RESTORE],
            format!("DELETE /restores/{RESTORE}"),
        ),
        (
            vec!["trust-delete", TRUST],
            format!("DELETE /trusts/{TRUST}"),
        ),
        (
            vec!["trust-delete", "0123456789abcdef"],
            format!("DELETE /trusts/{TRUST}"),
        ),
    ] {
        let stub = full();
        let ended = succeed(&stub, &arguments);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_eq!(stub.lines().last(), Some(&last), "{arguments:?}");
    }
}

#[test]
fn trust_create_sends_roles_and_kind() {
    let (lines, body) = asked(&["trust-create", "--is_cloud_trust", "True", "member,creator"]);
    assert_eq!(lines, ["POST /trusts"]);
    assert_eq!(
        body,
        json!({"trusts": {"role_name": "member,creator", "is_cloud_trust": true}})
    );
}
