//! Every endpoint does what it is for, once: what `ROUTES` has and this does not call is a failure.

use serde_json::json;
use services_api::ROUTES;
use services_db::Verification;
use services_types::Topology;

use crate::engine;
use crate::site::{Site, User, new_workload};

/// Follows a tenant from the first workload to the last deletion.
#[tokio::test]
async fn every_endpoint_serves_a_tenant() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    tenant.send(reqwest::Method::GET, "/", None).await.ok(200);
    workload_types(&tenant).await;

    let server = tenant.server("web").await;
    let made = tenant
        .post("workloads", new_workload("daily", &[&server]))
        .await
        .ok(202);
    let workload = made["workload"]["id"].as_str().unwrap().to_owned();
    tenant.get("workloads").await.ok(200);
    tenant.get("workloads/detail").await.ok(200);
    tenant.get(&format!("workloads/{workload}")).await.ok(200);
    let change = json!({"workload": {"description": "changed"}});
    tenant
        .put(&format!("workloads/{workload}"), change)
        .await
        .ok(202);
    tenant
        .post_nothing(&format!("workloads/{workload}/unlock"))
        .await
        .ok(202);
    trusts(&tenant).await;

    let servers = [(&server, "web")];
    let one = snapshot(&tenant, &workload).await;
    tenant.get(&format!("snapshots/{one}/cancel")).await.ok(202);
    engine::complete_snapshot(&site.datastore, &servers).await;
    tenant.get("snapshots").await.ok(200);
    tenant.get("snapshots/detail").await.ok(200);
    tenant.get(&format!("snapshots/{one}")).await.ok(200);
    tenant
        .get(&format!("workloads/{workload}/snapshots/{one}"))
        .await
        .ok(200);

    tenant
        .post_nothing(&format!("snapshots/{one}/verify"))
        .await
        .ok(202);
    engine::complete_verification(&site.datastore, Verification::default()).await;

    site.cloud.lose(server.as_str());
    restores(&tenant, &workload, &one, &server).await;

    tenant.delete(&format!("snapshots/{one}")).await.ok(202);
    engine::complete_snapshot_delete(&site.datastore).await;
    let two = snapshot(&tenant, &workload).await;
    let claim = engine::begin_snapshot(&site.datastore, &servers, &Topology::default()).await;
    engine::finish_snapshot(&site.datastore, &claim).await;
    tenant
        .delete(&format!("workloads/{workload}/snapshots/{two}"))
        .await
        .ok(202);
    engine::complete_snapshot_delete(&site.datastore).await;
    tenant
        .delete(&format!("workloads/{workload}"))
        .await
        .ok(202);
    engine::complete_workload_delete(&site.datastore).await;
    tenant
        .get(&format!("workloads/{workload}"))
        .await
        .refused(404, "itemNotFound");

    assert_eq!(never_done(&site, &tenant.project_id), Vec::<String>::new());
}

async fn workload_types(tenant: &User<'_>) {
    let list = tenant.get("workload_types").await.ok(200);
    let types = list["workload_types"].as_array().unwrap();
    let names: Vec<_> = types
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Parallel", "Serial"]);
    tenant.get("workload_types/detail").await.ok(200);
    let shown = tenant
        .get(&format!("workload_types/{}", services_types::SERIAL))
        .await
        .ok(200);
    assert_eq!(shown["workload_type"]["name"], "Serial");
}

async fn trusts(tenant: &User<'_>) {
    let made = tenant
        .post("trusts", json!({"trusts": {"role_name": "member"}}))
        .await
        .ok(200);
    let name = made["trust"][0]["name"].as_str().unwrap().to_owned();
    tenant.get("trusts").await.ok(200);
    tenant.get(&format!("trusts/{name}")).await.ok(200);
    tenant.delete(&format!("trusts/{name}")).await.ok(200);
}

async fn snapshot(tenant: &User<'_>, workload: &str) -> String {
    let made = tenant
        .post_nothing(&format!("workloads/{workload}?full=1"))
        .await
        .ok(202);
    made["snapshot"]["id"].as_str().unwrap().to_owned()
}

async fn restores(
    tenant: &User<'_>,
    workload: &str,
    snapshot: &str,
    server: &services_types::ServerId,
) {
    let wanted = json!({"restore": {"options": {"restore_type": "oneclick", "type": "openstack"}}});
    let below = format!("workloads/{workload}/snapshots/{snapshot}/restores");
    let made = tenant
        .post(&format!("snapshots/{snapshot}"), wanted.clone())
        .await
        .ok(202);
    let one = made["restore"]["id"].as_str().unwrap().to_owned();
    tenant.get(&format!("restores/{one}/cancel")).await.ok(202);
    let new = |digit: &str| {
        "11111111-1111-4111-8111-111111111111"
            .replace('1', digit)
            .parse()
            .unwrap()
    };
    engine::complete_restore(&tenant.site.datastore, server, &new("1")).await;
    tenant.get("restores").await.ok(200);
    tenant.get("restores/detail").await.ok(200);
    tenant.get(&format!("restores/{one}")).await.ok(200);
    tenant.get(&format!("{below}/{one}")).await.ok(200);
    tenant.delete(&format!("restores/{one}")).await.ok(202);
    let made = tenant.post(&below, wanted).await.ok(202);
    let two = made["restore"]["id"].as_str().unwrap().to_owned();
    engine::complete_restore(&tenant.site.datastore, server, &new("2")).await;
    tenant.delete(&format!("{below}/{two}")).await.ok(202);
}

fn never_done(site: &Site, project_id: &str) -> Vec<String> {
    let done = site.done.lock().unwrap();
    let was_done = |method: &str, path: &str| {
        let template: Vec<&str> = path.split('/').collect();
        done.iter().any(|(done_method, done_path)| {
            let segments: Vec<&str> = done_path.split('/').collect();
            let fits = |(part, segment): (&&str, &&str)| match *part {
                "{project_id}" => *segment == project_id,
                // A word such as `detail` is an endpoint of its own.
                part if part.starts_with('{') => segment.len() > 30,
                part => part == *segment,
            };
            done_method == method
                && segments.len() == template.len()
                && template.iter().zip(&segments).all(fits)
        })
    };
    ROUTES
        .iter()
        .filter(|route| !was_done(route.method, route.path))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect()
}
