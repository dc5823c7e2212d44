//! Every endpoint of the REST API has a policy rule, stands in the OpenAPI document, and is asked by a
//! test.

use std::collections::BTreeMap;
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
    handler: String,
}

pub(crate) fn violations() -> anyhow::Result<Vec<String>> {
    let root = metadata()?.workspace_root;
    let api = Path::new(&root).join("services/api");
    let printed = cargo(&[
        "run",
        "--quiet",
        "--locked",
        "--package",
        "services-api",
        "--bin",
        "backstay-api",
        "--",
        "--print-routes",
    ])?;
    let routes: Vec<Route> =
        serde_json::from_slice(&printed).context("reading the table of routes")?;
    let openapi = read(&api.join("openapi.json"))?;
    let openapi: Value = serde_json::from_str(&openapi).context("reading openapi.json")?;
    let policy = read(&api.join("src/policy/defaults.rs"))?;
    let tests = read_all(&api.join("tests"))?;
    Ok(violations_in(&routes, &openapi, &policy, &tests))
}

fn violations_in(routes: &[Route], openapi: &Value, policy: &str, tests: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut handlers = BTreeMap::new();
    for Route {
        method,
        path,
        operation,
        handler,
    } in routes
    {
        let endpoint = format!("{method} {path}");
        if !policy.contains(&format!("\"{operation}\"")) {
            found.push(format!("{endpoint}: no built-in policy rule {operation}"));
        }
        let described = openapi["paths"][path].get(method.to_lowercase());
        if described.is_none() {
            found.push(format!("{endpoint}: not in openapi.json"));
        }
        handlers.entry(handler).or_insert(endpoint);
    }
    for (handler, endpoint) in handlers {
        if !tests.contains(handler.as_str()) {
            found.push(format!("{endpoint}: no test says that it asks {handler}"));
        }
    }
    found
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn read_all(folder: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            text.push_str(&read_all(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&read(&path)?);
        }
    }
    Ok(text)
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
            handler: "thing::list".to_owned(),
        }
    }

    #[test]
    fn an_endpoint_that_has_all_three_is_fine() {
        let openapi = json!({"paths": {"/things": {"get": {}}}});
        let found = violations_in(&[route()], &openapi, "\"thing:list\"", "thing::list");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let found = violations_in(&[route()], &json!({}), "", "");
        assert_eq!(found.len(), 3);
        assert!(
            found.iter().all(|line| line.starts_with("GET /things: ")),
            "{found:?}"
        );
    }
}
