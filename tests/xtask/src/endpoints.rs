//! Every endpoint of the REST API has a policy rule and stands in the OpenAPI document. That each is
//! asked by a test is held by `services/api/tests/http/tour.rs`, which walks the same table.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::workspace::{cargo, metadata};

#[derive(Deserialize)]
struct Route {
    method: String,
    path: String,
    operation: String,
}

pub(crate) fn violations() -> anyhow::Result<Vec<String>> {
    let root = metadata()?.workspace_root;
    let api = Path::new(&root).join("services/api");
    let printed = print(&["--print-routes"])?;
    let routes: Vec<Route> =
        serde_json::from_slice(&printed).context("reading the table of routes")?;
    let text = read(&api.join("openapi.json"))?;
    let openapi: Value = serde_json::from_str(&text).context("reading openapi.json")?;
    let policy = read(&api.join("src/policy/defaults.rs"))?;
    let mut found = violations_in(&routes, &openapi, &policy);
    if print(&["--print-openapi"])?.trim_ascii() != text.trim().as_bytes() {
        found.push(
            "services/api/openapi.json is stale: write what --print-openapi prints".to_owned(),
        );
    }
    Ok(found)
}

/// What the API's program prints of itself.
fn print(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let program = ["--package", "services-api", "--bin", "backstay-api", "--"];
    let run = ["run", "--quiet", "--locked"];
    cargo(&[run.as_slice(), program.as_slice(), arguments].concat())
}

fn violations_in(routes: &[Route], openapi: &Value, policy: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Route {
        method,
        path,
        operation,
    } in routes
    {
        let endpoint = format!("{method} {path}");
        if !policy.contains(&format!("\"{operation}\"")) {
            found.push(format!("{endpoint}: no built-in policy rule {operation}"));
        }
        let described = openapi
            .pointer("/paths")
            .and_then(|paths| paths.get(path)?.get(method.to_lowercase()));
        if described.is_none() {
            found.push(format!("{endpoint}: not in openapi.json"));
        }
    }
    found
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route() -> Route {
        Route {
            method: "GET".to_owned(),
            path: "/things".to_owned(),
            operation: "thing:list".to_owned(),
        }
    }

    #[test]
    fn an_endpoint_that_has_both_is_fine() {
        let openapi = json!({"paths": {"/things": {"get": {}}}});
        let found = violations_in(&[route()], &openapi, "\"thing:list\"");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let found = violations_in(&[route()], &json!({}), "");
        assert_eq!(found.len(), 2);
        assert!(
            found.iter().all(|line| line.starts_with("GET /things: ")),
            "{found:?}"
        );
    }
}
