//! Verifying a snapshot: asked for, and what it tells.

use services_db::Verification;

use crate::engine;
use crate::site::{Site, new_workload};

#[tokio::test]
async fn what_a_verification_found_is_shown_with_the_snapshot() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let made = tenant
        .post("workloads", new_workload("daily", &[&server]))
        .await
        .ok(202);
    let workload = made["workload"]["id"].as_str().unwrap().to_owned();
    let taken = tenant
        .post_nothing(&format!("workloads/{workload}?full=1"))
        .await
        .ok(202);
    let id = taken["snapshot"]["id"].as_str().unwrap().to_owned();
    let verify = format!("snapshots/{id}/verify");
    tenant
        .post_nothing(&verify)
        .await
        .refused(409, "conflictingRequest");
    engine::complete_snapshot(&site.datastore, &[(&server, "web")]).await;

    let asked = tenant.post_nothing(&verify).await.ok(202);
    assert_eq!(asked["snapshot"]["status"], "verifying");
    tenant
        .delete(&format!("snapshots/{id}"))
        .await
        .refused(409, "conflictingRequest");
    let found = Verification {
        message: "Verified: 1 damages were found".to_owned(),
        damage: Some("image x is damaged at 65536".to_owned()),
        damaged_parents: Vec::new(),
    };
    engine::complete_verification(&site.datastore, found).await;
    let shown = tenant.get(&format!("snapshots/{id}")).await.ok(200);
    let shown = &shown["snapshot"];
    assert_eq!(shown["status"], "available");
    assert_eq!(shown["damage_msg"], "image x is damaged at 65536");
    assert!(shown["verified_at"].is_string(), "{shown}");
    let warning = shown["warning_msg"].as_str().unwrap();
    assert!(warning.starts_with("The guest agent did not answer\n"));
    assert!(warning.contains("Damaged: image x"), "{warning}");
}
