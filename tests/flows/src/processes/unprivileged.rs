//! The user that all our processes run as: root would not notice a read-only folder, or a full one.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use nix::unistd::Uid;

/// Debian's `nobody`.
const NOBODY: u32 = 65534;

/// Whose files the processes can use; none where the test itself is unprivileged.
pub(super) fn uid() -> Option<u32> {
    Uid::effective().is_root().then_some(NOBODY)
}

/// Hands a file or folder over to the processes.
pub(super) fn give(path: &Path) {
    chown(path, uid(), uid()).unwrap();
}

/// A program as the unprivileged user; it ends with the thread that starts it, whatever happens.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(uid) = uid() {
        let id = uid.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.arg("--inh-caps=-all");
    }
    command.arg(program);
    command
}
