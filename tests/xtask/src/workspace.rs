//! The workspace as cargo sees it.

use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: String,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build` or nothing.
    pub(crate) kind: Option<String>,
    /// Only dependencies inside the workspace have one.
    pub(crate) path: Option<String>,
}

pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    let json = cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"])?;
    serde_json::from_slice(&json).context("reading what cargo metadata says")
}

/// Runs cargo and gives its standard output.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .output()
        .context("starting cargo")?;
    ensure!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}
