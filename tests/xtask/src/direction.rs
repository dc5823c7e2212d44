//! Dependencies point down: names <- outside systems <- decisions <- edges (docs/ARCHITECTURE.md).

use std::collections::BTreeMap;

use crate::workspace::{Package, metadata};

/// Which crates of ours each crate may use. An edge that is not here needs an ADR, not a new line.
const ALLOWED: &[(&str, &[&str])] = &[
    // names
    ("services-foundation", &[]),
    ("services-types", &[]),
    ("agent-direct-io", &[]),
    ("agent-contract", &["services-foundation"]),
    ("agent-format", &[]),
    ("agent-qcow2", &["agent-direct-io"]),
    // outside systems
    ("services-keystone", &["services-foundation"]),
    ("services-db", &["services-foundation", "services-types"]),
    (
        "services-openstack",
        &["services-foundation", "services-keystone", "services-types"],
    ),
    ("agent-blocks", &["agent-direct-io"]),
    (
        "agent-target",
        &["agent-direct-io", "agent-format", "agent-qcow2"],
    ),
    (
        "agent-target-s3",
        &[
            "agent-format",
            "agent-qcow2",
            "agent-target",
            "services-foundation",
        ],
    ),
    // decisions
    (
        "services-scheduler",
        &["services-db", "services-foundation", "services-types"],
    ),
    (
        "services-engine",
        &[
            "agent-contract",
            "agent-format",
            "agent-target",
            "agent-target-s3",
            "services-db",
            "services-foundation",
            "services-keystone",
            "services-openstack",
            "services-types",
        ],
    ),
    (
        "agent-datamover",
        &[
            "agent-blocks",
            "agent-contract",
            "agent-format",
            "agent-qcow2",
            "agent-target",
            "agent-target-s3",
            "services-foundation",
        ],
    ),
    // edges
    (
        "services-api",
        &[
            "services-db",
            "services-foundation",
            "services-keystone",
            "services-openstack",
            "services-types",
        ],
    ),
    (
        "services-cli",
        &["services-foundation", "services-keystone"],
    ),
    (
        "agent-datamover-api",
        &["agent-contract", "services-foundation", "services-keystone"],
    ),
];

/// Crates of `tests/` may use anything; nothing of the product may use them but as dev-dependency.
const TESTS: &[&str] = &[
    "tests-support",
    "tests-faultfs",
    "tests-s3-server",
    "tests-flows",
    "xtask",
];

pub(crate) fn violations() -> anyhow::Result<Vec<String>> {
    Ok(violations_in(&metadata()?.packages))
}

fn violations_in(packages: &[Package]) -> Vec<String> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut found = Vec::new();
    for package in packages
        .iter()
        .filter(|package| !TESTS.contains(&package.name.as_str()))
    {
        let Some(may_use) = allowed.get(package.name.as_str()) else {
            found.push(format!(
                "{} has no place in the table of layers",
                package.name
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|one| one.path.is_some()) {
            let is_for_tests = dependency.kind.as_deref() == Some("dev");
            if !is_for_tests && !may_use.contains(&dependency.name.as_str()) {
                found.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, uses: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency {
            name: uses.to_owned(),
            kind: kind.map(ToOwned::to_owned),
            path: Some(String::new()),
        };
        Package {
            name: name.to_owned(),
            dependencies: vec![dependency],
        }
    }

    #[test]
    fn an_edge_upwards_is_found() {
        let found = violations_in(&[package("services-types", "services-db", None)]);
        assert_eq!(found, ["services-types uses services-db"]);
    }

    #[test]
    fn the_agent_uses_nothing_of_the_services_but_the_foundation() {
        assert!(
            violations_in(&[package("agent-datamover", "services-foundation", None)]).is_empty()
        );
        assert!(!violations_in(&[package("agent-datamover", "services-types", None)]).is_empty());
    }

    #[test]
    fn tests_may_use_what_the_product_may_not() {
        assert!(violations_in(&[package("services-db", "tests-support", Some("dev"))]).is_empty());
        assert!(!violations_in(&[package("services-db", "tests-support", None)]).is_empty());
    }

    #[test]
    fn a_crate_that_nobody_placed_is_found() {
        assert_eq!(
            violations_in(&[package("services-new", "services-db", None)]).len(),
            1
        );
    }
}
