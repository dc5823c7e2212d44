//! Tenants do not see each other; administrators see all.

use reqwest::Method;
use serde_json::{Value, json};

use crate::engine;
use crate::site::{Site, User};

/// A workload with a snapshot and a running restore; every path that names one of them.
async fn occupied(tenant: &User<'_>) -> Vec<(Method, String, Option<Value>)> {
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    let made = tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    let snapshot = made["snapshot"]["id"].as_str().unwrap().to_owned();
    engine::complete_snapshot(&tenant.site.datastore, &[(&server, "web")]).await;
    tenant.site.cloud.lose(server.as_str());
    let oneclick = json!({"restore": {"options": {"restore_type": "oneclick"}}});
    let made = tenant
        .post(&format!("snapshots/{snapshot}"), oneclick.clone())
        .await
        .ok(202);
    let restore = made["restore"]["id"].as_str().unwrap().to_owned();
    let list = tenant.get("trusts").await.ok(200);
    let trust = list["trust"][0]["name"].as_str().unwrap().to_owned();
    let nested = format!("workloads/{workload}/snapshots/{snapshot}");
    let change = Some(json!({"workload": {"name": "mine"}}));
    vec![
        (Method::GET, format!("workloads/{workload}"), None),
        (Method::PUT, format!("workloads/{workload}"), change),
        (Method::POST, format!("workloads/{workload}"), None),
        (Method::POST, format!("workloads/{workload}/unlock"), None),
        (Method::DELETE, format!("workloads/{workload}"), None),
        (
            Method::GET,
            format!("snapshots?workload_id={workload}"),
            None,
        ),
        (Method::GET, format!("snapshots/{snapshot}"), None),
        (Method::GET, format!("snapshots/{snapshot}/cancel"), None),
        (
            Method::POST,
            format!("snapshots/{snapshot}"),
            Some(oneclick.clone()),
        ),
        (Method::DELETE, format!("snapshots/{snapshot}"), None),
        (Method::GET, nested.clone(), None),
        (Method::DELETE, nested.clone(), None),
        (Method::POST, format!("{nested}/restores"), Some(oneclick)),
        (
            Method::GET,
            format!("restores?snapshot_id={snapshot}"),
            None,
        ),
        (Method::GET, format!("restores/{restore}"), None),
        (Method::GET, format!("restores/{restore}/cancel"), None),
        (Method::DELETE, format!("restores/{restore}"), None),
        (Method::GET, format!("{nested}/restores/{restore}"), None),
        (Method::DELETE, format!("{nested}/restores/{restore}"), None),
        (Method::GET, format!("trusts/{trust}"), None),
        (Method::DELETE, format!("trusts/{trust}"), None),
    ]
}

#[tokio::test]
async fn what_is_another_tenants_is_not_found_by_any_path() {
    let site = Site::start().await;
    let (tenant, stranger) = (site.tenant().await, site.stranger().await);
    for (method, below, body) in occupied(&tenant).await {
        let path = stranger.path(&below);
        let answer = stranger
            .send(method.clone(), &path, body.map(|it| it.to_string()))
            .await;
        let message = answer.refused(404, "itemNotFound");
        assert!(
            message.ends_with("could not be found."),
            "{method} {below}: {message}"
        );
    }
    for (list, key) in [
        ("workloads", "workloads"),
        ("snapshots", "snapshots"),
        ("restores", "restores"),
        ("trusts", "trust"),
    ] {
        assert_eq!(stranger.get(list).await.ok(200)[key], json!([]), "{list}");
    }
}

#[tokio::test]
async fn asking_for_all_gives_all_to_administrators_only() {
    let site = Site::start().await;
    let (tenant, stranger, admin) = (
        site.tenant().await,
        site.stranger().await,
        site.admin().await,
    );
    occupied(&tenant).await;
    for (below, key) in [
        ("workloads?all_workloads=1", "workloads"),
        ("workloads?all_tenants=1", "workloads"),
        ("workloads/detail?all_workloads=True", "workloads"),
        ("snapshots?all=True", "snapshots"),
        ("snapshots/detail?all=True", "snapshots"),
        ("restores?all=True", "restores"),
        ("restores/detail?all=True", "restores"),
    ] {
        let seen = async |user: &User<'_>, below: &str| {
            user.get(below).await.ok(200)[key].as_array().unwrap().len()
        };
        assert_eq!(seen(&stranger, below).await, 0, "{below}");
        assert_eq!(seen(&tenant, below).await, 1, "{below}");
        assert_eq!(seen(&admin, below).await, 1, "{below}");
        let own = below.split('?').next().unwrap();
        assert_eq!(seen(&admin, own).await, 0, "{own}");
        let of_tenant = format!("{own}?project_id={}", tenant.project_id);
        assert_eq!(seen(&admin, &of_tenant).await, 1, "{of_tenant}");
        assert_eq!(seen(&stranger, &of_tenant).await, 0, "{of_tenant}");
    }
}

#[tokio::test]
async fn an_administrator_reaches_what_is_others_by_either_projects_url() {
    let site = Site::start().await;
    let (tenant, admin) = (site.tenant().await, site.admin().await);
    let paths = occupied(&tenant).await;
    for (method, below, _) in paths
        .into_iter()
        .filter(|(method, ..)| method == Method::GET)
    {
        if below.ends_with("/cancel") {
            continue;
        }
        for path in [admin.path(&below), tenant.path(&below)] {
            let answer = admin.send(method.clone(), &path, None).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
    let workloads = admin
        .send(Method::GET, &tenant.path("workloads"), None)
        .await
        .ok(200);
    assert_eq!(workloads["workloads"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_administrator_makes_nothing_in_a_project_that_the_token_is_not_of() {
    let site = Site::start().await;
    let (tenant, admin) = (site.tenant().await, site.admin().await);
    let server = tenant.server("web").await;
    let wanted = crate::site::new_workload("w", &[&server]).to_string();
    let answer = admin
        .send(Method::POST, &tenant.path("workloads"), Some(wanted))
        .await;
    answer.refused(403, "forbidden");
    let wanted = json!({"trusts": {}}).to_string();
    let answer = admin
        .send(Method::POST, &tenant.path("trusts"), Some(wanted))
        .await;
    answer.refused(403, "forbidden");
}
