//! Workloads: shapes, and what a workload may be made of.

use std::time::Duration;

use serde_json::{Value, json};
use services_openstack::fake::{Effect, Fault};
use services_types::{PARALLEL, SERIAL};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::engine;
use crate::site::{Site, new_workload};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_workload_is_made_with_its_labels_and_shown_in_the_contracts_shape() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let mut wanted = new_workload("daily", &[&web, &db]);
    wanted["workload"]["workload_type_id"] = json!(PARALLEL);
    wanted["workload"]["metadata"] = json!({"team": "blue", "tier": 1});
    wanted["workload"]["jobschedule"] = json!({"enabled": "True", "interval": "5"});
    let made = tenant.post("workloads", wanted).await.ok(202);
    let made = &made["workload"];
    assert_eq!(made["status"], "creating");
    assert_eq!(
        (&made["name"], &made["project_id"]),
        (&json!("daily"), &json!(tenant.project_id))
    );
    assert_eq!(made["user_id"], json!(tenant.user_id));
    let id = made["id"].as_str().unwrap();
    let href = format!("{}/v1/{}/workloads/{id}", site.url, tenant.project_id);
    assert_eq!(made["links"][0], json!({"rel": "self", "href": href}));

    let shown = tenant.get(&format!("workloads/{id}")).await.ok(200);
    let shown = &shown["workload"];
    let summary = [
        "created_at",
        "description",
        "id",
        "links",
        "name",
        "project_id",
        "scheduler_trust",
        "snapshots_info",
        "status",
        "updated_at",
        "user_id",
        "workload_type_id",
    ];
    let detail = [
        "availability_zone",
        "encryption",
        "error_msg",
        "instances",
        "jobschedule",
        "metadata",
        "secret_uuid",
        "source_platform",
        "storage_usage",
    ];
    let mut expected: Vec<&str> = summary.into_iter().chain(detail).collect();
    expected.sort_unstable();
    assert_eq!(keys(shown), expected);
    assert_eq!(shown["status"], "available");
    assert_eq!(shown["workload_type_id"], PARALLEL);
    assert_eq!(shown["metadata"], json!({"team": "blue", "tier": "1"}));
    assert_eq!(
        shown["instances"],
        json!([{"id": web.as_str(), "name": "web", "metadata": {}},
               {"id": db.as_str(), "name": "db", "metadata": {}}])
    );
    assert_eq!(shown["jobschedule"]["enabled"], true);
    assert_eq!(shown["jobschedule"]["interval"], "5 hrs");
    assert!(shown["jobschedule"]["nextrun"].as_i64().unwrap() > 0);
    assert_eq!(
        shown["storage_usage"]["full"],
        json!({"snap_count": 0, "usage": 0})
    );

    for server in [&web, &db] {
        let labels = tenant.server_metadata(server).await;
        assert_eq!(labels["workload_id"], id);
        assert_eq!(labels["workload_name"], "daily");
    }
    let list = tenant.get("workloads").await.ok(200);
    assert_eq!(keys(&list["workloads"][0]), summary);
}

#[tokio::test]
async fn what_is_left_out_has_its_default() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let wanted = json!({"workload": {"instances": [{"instance-id": server.as_str()}]}});
    let made = tenant.post("workloads", wanted).await.ok(202);
    let id = made["workload"]["id"].as_str().unwrap();
    let shown = tenant.get(&format!("workloads/{id}")).await.ok(200);
    let shown = &shown["workload"];
    assert_eq!(
        (&shown["name"], &shown["description"]),
        (&json!("workload"), &json!(""))
    );
    assert_eq!(shown["workload_type_id"], SERIAL);
    assert_eq!(shown["source_platform"], Value::Null);
    assert_eq!(shown["jobschedule"]["enabled"], true);
    assert_eq!(shown["jobschedule"]["start_time"], "09:00 PM");
}

#[tokio::test]
async fn a_server_belongs_to_one_workload() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    tenant.workload("first", &[&web]).await;
    let both = new_workload("second", &[&db, &web]);
    let message = tenant
        .post("workloads", both)
        .await
        .refused(409, "conflictingRequest");
    let expected = format!("Invalid instance as {web} already attached with other workload");
    assert_eq!(message, expected);
    assert!(
        !tenant
            .server_metadata(&db)
            .await
            .contains_key("workload_id")
    );
    let other = tenant.workload("second", &[&db]).await;
    let change = json!({"workload": {"instances": [{"instance-id": web.as_str()}]}});
    let message = tenant.put(&format!("workloads/{other}"), change).await;
    assert_eq!(message.refused(409, "conflictingRequest"), expected);
}

#[tokio::test]
async fn two_who_claim_a_server_at_the_same_time_do_not_both_get_it() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let (one, other) = tokio::join!(
        tenant.post("workloads", new_workload("one", &[&server])),
        tenant.post("workloads", new_workload("other", &[&server])),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    let owner = if one.status == 202 { one } else { other };
    let labels = tenant.server_metadata(&server).await;
    assert_eq!(labels["workload_id"], owner.body["workload"]["id"]);
}

#[tokio::test]
async fn only_servers_of_the_own_project_that_work_can_be_protected() {
    let site = Site::start().await;
    let (tenant, stranger) = (site.tenant().await, site.stranger().await);
    let (broken, foreign) = (
        tenant.server("broken").await,
        stranger.server("foreign").await,
    );
    site.cloud.set_status(broken.as_str(), "ERROR");
    let missing = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    for (server, status, fault) in [
        (&missing, 404, "itemNotFound"),
        (&foreign, 404, "itemNotFound"),
        (&broken, 409, "conflictingRequest"),
    ] {
        let answer = tenant.post("workloads", new_workload("w", &[server])).await;
        assert!(answer.refused(status, fault).contains(server.as_str()));
    }
    let admin = site.admin().await;
    let answer = admin
        .post("workloads", new_workload("w", &[&foreign]))
        .await;
    let message = answer.refused(404, "itemNotFound");
    assert_eq!(
        message,
        format!("Unable to find Virtual Machine '{foreign}' in nova inventory")
    );
    assert_eq!(
        tenant.get("workloads").await.ok(200)["workloads"],
        json!([])
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    for (field, value, status, word) in [
        ("instances", json!([]), 400, "at least one instance"),
        ("name", json!("x".repeat(256)), 400, "255"),
        ("name", json!("a\nb"), 400, "control"),
        ("source_platform", json!("x".repeat(256)), 400, "255"),
        ("metadata", json!({"k".repeat(256): "v"}), 400, "255"),
        ("jobschedule", json!({"interval": "often"}), 400, "interval"),
        ("jobschedule", json!({"timezone": "Mars"}), 400, "timezone"),
        ("encryption", json!(true), 400, "not supported"),
        (
            "workload_type_id",
            json!("00000000-0000-4000-8000-000000000000"),
            404,
            "type",
        ),
        ("workload_type_id", json!("serial"), 404, "type"),
        ("metadata", json!({"policy_id": "p-1"}), 404, "Policy p-1"),
    ] {
        let mut wanted = new_workload("w", &[&server]);
        wanted["workload"][field] = value;
        let answer = tenant.post("workloads", wanted).await;
        let fault = if status == 400 {
            "badRequest"
        } else {
            "itemNotFound"
        };
        let message = answer.refused(status, fault);
        assert!(message.contains(word), "{field}: {message}");
    }
    assert!(
        !tenant
            .server_metadata(&server)
            .await
            .contains_key("workload_id")
    );
}

#[tokio::test]
async fn a_workload_whose_servers_cannot_be_labelled_is_taken_back() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    site.cloud
        .inject(Fault::on("POST", "metadata", Effect::Status(403)).times(100));
    site.cloud
        .inject(Fault::on("PUT", "metadata", Effect::Status(403)).times(100));
    let answer = tenant
        .post("workloads", new_workload("daily", &[&server]))
        .await;
    answer.refused(403, "forbidden");
    site.cloud.heal();
    engine::complete_workload_delete(&site.datastore).await;
    assert_eq!(
        tenant.get("workloads").await.ok(200)["workloads"],
        json!([])
    );
    tenant.workload("daily", &[&server]).await;
}

#[tokio::test]
async fn a_workload_is_completed_although_its_client_went_away() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let is_slow = Effect::Delay(Duration::from_millis(700));
    site.cloud.inject(Fault::on("POST", "metadata", is_slow));
    let (path, token) = (tenant.path("workloads"), tenant.token.clone().unwrap());
    let body = new_workload("daily", &[&server]).to_string();
    let length = body.len();
    let address = site.url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: api\r\nX-Auth-Token: {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    while site.cloud.count("POST", "metadata") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "not begun");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A reset, as a client leaves that was killed; of a plain close actix takes no notice.
    client.set_zero_linger().unwrap();
    drop(client);
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let list = tenant.get("workloads").await.ok(200);
        if list["workloads"][0]["status"] == "available" {
            break;
        }
        assert!(tokio::time::Instant::now() < limit, "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        tenant
            .server_metadata(&server)
            .await
            .contains_key("workload_id")
    );
}

#[tokio::test]
async fn a_workload_whose_server_was_lost_can_still_be_renamed() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let id = tenant.workload("daily", &[&web, &db]).await;
    site.cloud.lose(web.as_str());
    let change = json!({"workload": {"name": "nightly"}});
    tenant.put(&format!("workloads/{id}"), change).await.ok(202);
    assert_eq!(
        tenant.server_metadata(&db).await["workload_name"],
        "nightly"
    );
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_the_labels_follow() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let id = tenant.workload("daily", &[&web]).await;
    let below = format!("workloads/{id}");
    let change =
        json!({"workload": {"name": "nightly", "instances": [{"instance-id": db.as_str()}]}});
    let changed = tenant.put(&below, change).await.ok(202);
    assert_eq!(changed["workload"]["name"], "nightly");
    assert!(
        !tenant
            .server_metadata(&web)
            .await
            .contains_key("workload_id")
    );
    assert_eq!(
        tenant.server_metadata(&db).await["workload_name"],
        "nightly"
    );

    let schedule = json!({"workload": {"jobschedule": {"enabled": true, "interval": "2 hr"}}});
    tenant.put(&below, schedule).await.ok(202);
    tenant
        .put(
            &below,
            json!({"workload": {"jobschedule": {"enabled": "false"}}}),
        )
        .await
        .ok(202);
    tenant
        .put(&below, json!({"workload": {"metadata": {"a": "b"}}}))
        .await
        .ok(202);
    let shown = tenant.get(&below).await.ok(200);
    let shown = &shown["workload"];
    assert_eq!(shown["jobschedule"]["interval"], "2 hrs");
    assert_eq!(shown["jobschedule"]["enabled"], false);
    assert!(shown["jobschedule"].get("nextrun").is_none());
    assert_eq!(shown["metadata"], json!({"a": "b"}));
    assert_eq!(shown["description"], "made by a test");
    tenant
        .put(&below, json!({"workload": {"instances": []}}))
        .await
        .refused(400, "badRequest");
    let bad = json!({"workload": {"jobschedule": {"interval": "0"}}});
    tenant.put(&below, bad).await.refused(400, "badRequest");
}

#[tokio::test]
async fn a_workload_with_snapshots_is_not_deleted_and_a_deleted_one_is_gone() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let id = tenant.workload("daily", &[&server]).await;
    let below = format!("workloads/{id}");
    tenant.post_nothing(&below).await.ok(202);
    engine::complete_snapshot(&site.datastore, &[(&server, "web")]).await;
    let message = tenant
        .delete(&below)
        .await
        .refused(409, "conflictingRequest");
    assert_eq!(
        message,
        "The workload still has 1 snapshots; delete them first."
    );
    let usage = &tenant.get(&below).await.ok(200)["workload"]["storage_usage"];
    assert_eq!(
        *usage,
        json!({"usage": 1000, "full": {"snap_count": 1, "usage": 1000},
                              "incremental": {"snap_count": 0, "usage": 0}})
    );
    let list = tenant.get("snapshots").await.ok(200);
    let snapshot = list["snapshots"][0]["id"].as_str().unwrap().to_owned();
    tenant
        .delete(&format!("snapshots/{snapshot}"))
        .await
        .ok(202);
    engine::complete_snapshot_delete(&site.datastore).await;
    tenant.delete(&below).await.ok(202);
    assert_eq!(
        tenant.get(&below).await.ok(200)["workload"]["status"],
        "deleting"
    );
    tenant
        .delete(&below)
        .await
        .refused(409, "conflictingRequest");
    engine::complete_workload_delete(&site.datastore).await;
    tenant.get(&below).await.refused(404, "itemNotFound");
    tenant.workload("again", &[&server]).await;
}

#[tokio::test]
async fn unlocking_frees_the_workload_but_lets_no_second_snapshot_begin() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let id = tenant.workload("daily", &[&server]).await;
    let below = format!("workloads/{id}");
    tenant.post_nothing(&below).await.ok(202);
    let servers = [(&server, "web")];
    let claim = engine::begin_snapshot(&site.datastore, &servers, &Default::default()).await;
    assert_eq!(
        tenant.get(&below).await.ok(200)["workload"]["status"],
        "locked"
    );
    tenant
        .post_nothing(&format!("{below}/unlock"))
        .await
        .ok(202);
    assert_eq!(
        tenant.get(&below).await.ok(200)["workload"]["status"],
        "available"
    );
    tenant
        .post_nothing(&below)
        .await
        .refused(409, "conflictingRequest");
    engine::finish_snapshot(&site.datastore, &claim).await;
    tenant.post_nothing(&below).await.ok(202);
}
