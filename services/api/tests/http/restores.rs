//! Restores: shapes, and what is refused early.

use serde_json::{Value, json};
use services_types::ServerId;

use crate::engine;
use crate::site::{Site, User};

fn oneclick() -> Value {
    json!({"restore": {"name": "back", "description": "d", "options": {
        "name": "inner", "type": "openstack", "oneclickrestore": true, "restore_type": "oneclick",
        "openstack": {"instances": [], "zone": ""}, "vmware": {}, "restore_options": {},
    }}})
}

/// A workload of one server with one snapshot: ids of server, workload and snapshot.
async fn protected(tenant: &User<'_>) -> (ServerId, String, String) {
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let made = tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    engine::complete_snapshot(&tenant.site.datastore, &[(&server, "web")]).await;
    (
        server,
        workload,
        made["snapshot"]["id"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_restore_goes_from_creating_to_available_and_the_members_change() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (server, workload, snapshot) = protected(&tenant).await;
    site.cloud.lose(server.as_str());
    let made = tenant
        .post(&format!("snapshots/{snapshot}"), oneclick())
        .await
        .ok(202);
    let made = &made["restore"];
    assert_eq!(
        (&made["name"], &made["description"]),
        (&json!("back"), &json!("d"))
    );
    assert_eq!(made["restore_type"], "restore");
    assert_eq!(made["restore_options"]["restore_type"], "oneclick");
    assert_eq!(made["snapshot_id"], json!(snapshot));
    let below = format!("snapshots/{snapshot}");
    assert_eq!(
        tenant.get(&below).await.ok(200)["snapshot"]["status"],
        "restoring"
    );
    let busy = format!("workloads/{workload}");
    tenant
        .post_nothing(&busy)
        .await
        .refused(409, "conflictingRequest");
    tenant
        .post(&below, oneclick())
        .await
        .refused(409, "conflictingRequest");
    let restore = format!("restores/{}", made["id"].as_str().unwrap());
    tenant
        .delete(&restore)
        .await
        .refused(409, "conflictingRequest");

    let new: ServerId = "22222222-2222-4222-8222-222222222222".parse().unwrap();
    engine::complete_restore(&site.datastore, &server, &new).await;
    let shown = tenant.get(&restore).await.ok(200)["restore"].clone();
    for (key, value) in [
        ("status", json!("available")),
        ("progress_percent", json!(100)),
        ("progress_msg", json!("Restore from snapshot is complete")),
        ("size", json!(3000)),
        ("networks", json!([])),
        (
            "instances",
            json!([{"id": new.as_str(), "name": "restored", "status": "available",
                              "metadata": {"instance_id": server.as_str()}}]),
        ),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["snapshot_details"]["id"], json!(snapshot));
    assert!(shown["finished_at"].is_string());
    let members = tenant.get(&busy).await.ok(200)["workload"]["instances"].clone();
    assert_eq!(members[0]["id"], new.as_str());
    tenant
        .get(&format!("{restore}/cancel"))
        .await
        .refused(409, "conflictingRequest");

    let listed = tenant
        .get(&format!("restores?snapshot_id={snapshot}"))
        .await
        .ok(200);
    assert_eq!(listed["restores"].as_array().unwrap().len(), 1);
    let detail = tenant.get("restores/detail").await.ok(200);
    assert_eq!(
        detail["restores"][0]["restore_options"]["oneclickrestore"],
        true
    );
    tenant.delete(&restore).await.ok(202);
    tenant.get(&restore).await.refused(404, "itemNotFound");
    assert_eq!(tenant.get("restores").await.ok(200)["restores"], json!([]));
}

#[tokio::test]
async fn one_click_is_refused_while_an_original_exists() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (server, workload, snapshot) = protected(&tenant).await;
    for below in [
        format!("snapshots/{snapshot}"),
        format!("workloads/{workload}/snapshots/{snapshot}/restores"),
    ] {
        let message = tenant
            .post(&below, oneclick())
            .await
            .refused(409, "conflictingRequest");
        assert!(
            message.contains(server.as_str()) && message.contains("still exists"),
            "{message}"
        );
    }
    let status = &tenant.get(&format!("snapshots/{snapshot}")).await.ok(200)["snapshot"]["status"];
    assert_eq!(*status, "available");
}

#[tokio::test]
async fn kinds_that_are_not_there_yet_are_refused() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (server, _, snapshot) = protected(&tenant).await;
    site.cloud.lose(server.as_str());
    for kind in ["selective", "inplace", "backwards"] {
        let wanted = json!({"restore": {"options": {"restore_type": kind}}});
        let answer = tenant.post(&format!("snapshots/{snapshot}"), wanted).await;
        assert!(answer.refused(400, "badRequest").contains(kind));
    }
}

#[tokio::test]
async fn only_a_complete_snapshot_is_restored() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let made = tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    let snapshot = made["snapshot"]["id"].as_str().unwrap();
    site.cloud.lose(server.as_str());
    let answer = tenant
        .post(&format!("snapshots/{snapshot}"), oneclick())
        .await;
    answer.refused(409, "conflictingRequest");
}

#[tokio::test]
async fn a_running_restore_can_be_stopped() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (server, _, snapshot) = protected(&tenant).await;
    site.cloud.lose(server.as_str());
    let made = tenant
        .post(&format!("snapshots/{snapshot}"), oneclick())
        .await
        .ok(202);
    let id = made["restore"]["id"].as_str().unwrap();
    tenant.get(&format!("restores/{id}/cancel")).await.ok(202);
    let flow = site
        .datastore
        .flow_of_restore(id.parse().unwrap())
        .await
        .unwrap();
    assert!(flow.is_cancel_requested);
}
