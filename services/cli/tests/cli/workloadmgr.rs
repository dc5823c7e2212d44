//! The program as a user starts it.

use std::process::{Command, Output, Stdio};

use crate::stub::{PASSWORD, Stub};

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Ready to run, with an empty environment.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workloadmgr"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// Ready to run, with a login in the environment.
pub(crate) fn command(stub: &Stub, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command
        .env("OS_AUTH_URL", format!("{}/v3", stub.url))
        .env("OS_USERNAME", "demo")
        .env("OS_PASSWORD", PASSWORD)
        .env("OS_PROJECT_NAME", "demo")
        .env("OS_REGION_NAME", "One");
    command
}

/// Runs it to its end.
pub(crate) fn run(stub: &Stub, arguments: &[&str]) -> Ended {
    command(stub, arguments).output().unwrap().into()
}

/// Runs it and expects success.
pub(crate) fn succeed(stub: &Stub, arguments: &[&str]) -> Ended {
    let ended = run(stub, arguments);
    assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
    ended
}
