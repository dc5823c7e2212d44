//! Trusts: made when they are needed, one a user and project.

use serde_json::json;
use services_openstack::fake::{Effect, Fault};

use crate::engine;
use crate::site::{Site, User, new_workload};

async fn trust_ids(user: &User<'_>) -> Vec<String> {
    let list = user.get("trusts").await.ok(200);
    let trusts = list["trust"].as_array().unwrap().clone();
    trusts
        .iter()
        .map(|it| it["value"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_first_workload_brings_a_trust_and_the_second_uses_it() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    assert_eq!(trust_ids(&tenant).await, Vec::<String>::new());
    tenant.workload("one", &[&web]).await;
    let first = trust_ids(&tenant).await;
    assert_eq!(first.len(), 1);
    tenant.workload("two", &[&db]).await;
    assert_eq!(trust_ids(&tenant).await, first);
    assert_eq!(site.cloud.count("POST", "OS-TRUST/trusts"), 1);
    let shown = tenant.get("trusts").await.ok(200)["trust"][0].clone();
    assert!(shown["name"].as_str().unwrap().starts_with("trust-"));
    for (key, value) in [
        ("category", json!("identity")),
        ("type", json!("trust_id")),
        ("status", json!("available")),
        ("user_id", json!(tenant.user_id)),
        ("project_id", json!(tenant.project_id)),
        ("deleted", json!(false)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["metadata"][0]["key"], "role_name");
    assert_eq!(
        shown["metadata"][0]["value"], "member,creator",
        "reader is not handed on"
    );
}

#[tokio::test]
async fn a_lost_trust_is_made_anew_when_its_owner_comes_by() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("one", &[&server]).await;
    let before = trust_ids(&tenant).await;
    site.cloud.lose(&before[0]);
    tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    let after = trust_ids(&tenant).await;
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_user_without_a_role_to_hand_on_is_told_so() {
    let site = Site::start().await;
    site.cloud.add_account("guest", &["reader"]);
    let guest = site.user("guest").await;
    let server = guest.server("web").await;
    let answer = guest.post("workloads", new_workload("w", &[&server])).await;
    let message = answer.refused(403, "forbidden");
    assert!(message.contains("member, creator"), "{message}");
    assert_eq!(guest.get("workloads").await.ok(200)["workloads"], json!([]));
}

#[tokio::test]
async fn a_trust_that_is_asked_for_replaces_the_one_before() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for (wanted, roles) in [
        (json!({"role_name": "member"}), "member"),
        (
            json!({"role_name": "Member, reader", "is_cloud_trust": "False"}),
            "member,reader",
        ),
        (json!({"role_name": "member,reader"}), "member,reader"),
        (json!({}), "member,reader"),
    ] {
        let made = tenant
            .post("trusts", json!({"trusts": wanted}))
            .await
            .ok(200);
        assert_eq!(made["trust"][0]["metadata"][0]["value"], roles);
    }
    assert_eq!(trust_ids(&tenant).await.len(), 1);
    assert_eq!(site.cloud.count("DELETE", "OS-TRUST/trusts"), 1);
    for wanted in [
        json!({"role_name": "admin"}),
        json!({"is_cloud_trust": true}),
    ] {
        tenant
            .post("trusts", json!({"trusts": wanted}))
            .await
            .refused(400, "badRequest");
    }
}

#[tokio::test]
async fn a_trust_that_is_deleted_is_revoked() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let made = tenant.post("trusts", json!({"trusts": {}})).await.ok(200);
    let name = made["trust"][0]["name"].as_str().unwrap().to_owned();
    tenant.delete(&format!("trusts/{name}")).await.ok(200);
    tenant
        .get(&format!("trusts/{name}"))
        .await
        .refused(404, "itemNotFound");
    assert_eq!(site.cloud.count("DELETE", "OS-TRUST/trusts"), 1);
}

#[tokio::test]
async fn nothing_is_made_when_the_trust_cannot_be() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    site.cloud
        .inject(Fault::on("POST", "OS-TRUST/trusts", Effect::Status(403)).times(100));
    let answer = tenant
        .post("workloads", new_workload("w", &[&server]))
        .await;
    answer.refused(403, "forbidden");
    assert_eq!(
        tenant.get("workloads").await.ok(200)["workloads"],
        json!([])
    );
    assert!(
        !tenant
            .server_metadata(&server)
            .await
            .contains_key("workload_id")
    );
}

#[tokio::test]
async fn a_snapshot_needs_no_trust_of_who_asks_when_another_made_the_workload() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("one", &[&server]).await;
    let admin = site.admin().await;
    let path = format!("/v1/{}/workloads/{workload}", tenant.project_id);
    admin.send(reqwest::Method::POST, &path, None).await.ok(202);
    engine::complete_snapshot(&site.datastore, &[(&server, "web")]).await;
    assert_eq!(site.cloud.count("POST", "OS-TRUST/trusts"), 1);
}

#[tokio::test]
async fn a_trust_that_a_flow_works_with_is_not_revoked_under_it() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("one", &[&server]).await;
    tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    let wanted = json!({"trusts": {"role_name": "member"}});
    tenant.post("trusts", wanted).await.ok(200);
    assert_eq!(site.cloud.count("DELETE", "OS-TRUST/trusts"), 0);
    assert_eq!(trust_ids(&tenant).await.len(), 1);
}

#[tokio::test]
async fn requests_that_come_together_make_one_trust() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let (web, db) = (tenant.server("web").await, tenant.server("db").await);
    let (one, other) = tokio::join!(
        tenant.post("workloads", new_workload("one", &[&web])),
        tenant.post("workloads", new_workload("other", &[&db])),
    );
    one.ok(202);
    other.ok(202);
    assert_eq!(site.cloud.count("POST", "OS-TRUST/trusts"), 1);
}
