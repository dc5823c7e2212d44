//! What every endpoint refuses, table-driven over `ROUTES`.

use std::io::Write;

use reqwest::Method;
use services_api::{DEFAULTS, ROUTES, Route};
use services_openstack::fake::{Effect, Fault};

use crate::site::{Site, User, new_workload};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn method(route: &Route) -> Method {
    route.method.parse().unwrap()
}

/// The endpoint's path in this project, with these words for its ids.
fn path(route: &Route, project_id: &str, id: &str) -> String {
    let segments = route.path.split('/').map(|part| match part {
        "{project_id}" => project_id,
        part if part.starts_with('{') => id,
        part => part,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A body that the endpoint understands.
fn body(route: &Route) -> Option<String> {
    let text = match route.handler {
        "workload::create" => return Some(new_workload("x", &[]).to_string()),
        "workload::update" => r#"{"workload": {}}"#,
        "snapshot::create" => r#"{"snapshot": {}}"#,
        "restore::create" => r#"{"restore": {"options": {"restore_type": "oneclick"}}}"#,
        "trust::create" => r#"{"trusts": {}}"#,
        _ => return None,
    };
    Some(text.to_owned())
}

fn behind_a_token() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.needs_token)
}

#[tokio::test]
async fn without_a_token_nothing_is_done() {
    let site = Site::start().await;
    let nobody = site.nobody();
    let impostor = User {
        token: Some("fake-0".to_owned()),
        ..site.nobody()
    };
    for route in behind_a_token() {
        for user in [&nobody, &impostor] {
            let answer = user
                .send(method(route), &path(route, "p-1", UNKNOWN), body(route))
                .await;
            assert!(
                answer.headers.contains_key("WWW-Authenticate"),
                "{}",
                route.path
            );
            answer.refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn the_project_of_the_url_must_be_the_tokens() {
    let site = Site::start().await;
    let (tenant, stranger) = (site.tenant().await, site.stranger().await);
    for route in behind_a_token() {
        for project in [stranger.project_id.as_str(), "not%20a%20project"] {
            let path = path(route, project, UNKNOWN);
            tenant
                .send(method(route), &path, body(route))
                .await
                .refused(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn every_endpoint_obeys_its_policy_rule() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for rule in DEFAULTS.iter().filter(|rule| rule.operation.contains(':')) {
        writeln!(file, "\"{}\": \"!\"", rule.operation).unwrap();
    }
    let site = Site::start_with(|it| it.policy_file = Some(file.path().to_owned())).await;
    let admin = site.admin().await;
    for route in behind_a_token() {
        let path = path(route, &admin.project_id, UNKNOWN);
        let message = admin
            .send(method(route), &path, body(route))
            .await
            .refused(403, "forbidden");
        assert_eq!(
            message,
            format!("Policy doesn't allow {} to be performed.", route.operation)
        );
    }
    std::fs::write(file.path(), "{}").unwrap();
    admin.get("workloads").await.ok(200);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_however_it_is_called() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for route in behind_a_token().filter(|route| route.path.matches('{').count() > 1) {
        for id in [UNKNOWN, "nonsense", "a%2fb", "%00", &"x".repeat(300)] {
            let path = path(route, &tenant.project_id, id);
            let answer = tenant.send(method(route), &path, body(route)).await;
            let message = answer.refused(404, "itemNotFound");
            assert!(
                message.contains("could not be found"),
                "{} {id}: {message}",
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_not_found_and_a_wrong_method_is_told_the_right_ones() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for path in ["/v2", "/v1", "/v1/p", "/v1/p/nothing", "/favicon.ico"] {
        tenant
            .send(Method::GET, path, None)
            .await
            .refused(404, "itemNotFound");
    }
    for route in ROUTES {
        let path = path(route, &tenant.project_id, UNKNOWN);
        let answer = tenant.send(Method::PATCH, &path, None).await;
        let allowed = answer.headers["Allow"].to_str().unwrap().to_owned();
        assert!(
            allowed.split(", ").any(|it| it == route.method),
            "{} {allowed}",
            route.path
        );
        answer.refused(405, "badMethod");
    }
}

#[tokio::test]
async fn a_body_that_is_not_understood_is_a_bad_request() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    let workload = tenant.workload("daily", &[&server]).await;
    tenant
        .post_nothing(&format!("workloads/{workload}"))
        .await
        .ok(202);
    let snapshots = tenant.get("snapshots").await.ok(200);
    let snapshot = snapshots["snapshots"][0]["id"].as_str().unwrap().to_owned();
    let paths = [
        (Method::POST, "workloads".to_owned()),
        (Method::PUT, format!("workloads/{workload}")),
        (Method::POST, format!("workloads/{workload}")),
        (Method::POST, format!("snapshots/{snapshot}")),
        (
            Method::POST,
            format!("workloads/{workload}/snapshots/{snapshot}/restores"),
        ),
        (Method::POST, "trusts".to_owned()),
    ];
    for (method, below) in paths {
        for bad in [
            "{",
            "[]",
            "\"text\"",
            "{\"other\": 1}",
            "nul\0",
            &"[".repeat(10_000),
        ] {
            let answer = tenant
                .send(method.clone(), &tenant.path(&below), Some(bad.to_owned()))
                .await;
            answer.refused(400, "badRequest");
        }
    }
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_a_bad_request() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    for below in [
        "workloads?all_workloads=perhaps",
        "snapshots?all=2",
        "snapshots?date_from=yesterday",
        "restores?all=x",
    ] {
        tenant.get(below).await.refused(400, "badRequest");
    }
    for below in [
        "workloads?nfs_share=x&all_workloads=",
        "snapshots?host=&date_to=",
        "restores?all=",
    ] {
        tenant.get(below).await.ok(200);
    }
}

#[tokio::test]
async fn keystone_that_does_not_answer_lets_nobody_in() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    site.cloud
        .inject(Fault::on("GET", "auth/tokens", Effect::Status(503)).times(100));
    let answer = tenant.get("workloads").await;
    assert!(answer.headers.contains_key("Retry-After"));
    answer.refused(503, "serviceUnavailable");
    site.cloud.heal();
    tenant.get("workloads").await.ok(200);
}

#[tokio::test]
async fn a_cloud_that_cannot_answer_is_worth_another_try() {
    let site = Site::start().await;
    let tenant = site.tenant().await;
    let server = tenant.server("web").await;
    site.cloud
        .inject(Fault::on("GET", "/servers/", Effect::Status(500)).times(1000));
    let answer = tenant
        .post("workloads", new_workload("daily", &[&server]))
        .await;
    assert!(answer.headers.contains_key("Retry-After"));
    answer.refused(503, "serviceUnavailable");
    site.cloud.heal();
    tenant.workload("daily", &[&server]).await;
}
