//! What stands for libvirt and the guests' agents: a script in place of `virsh`, which writes down what
//! it was asked and when.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::unprivileged::give;

const SCRIPT: &str = r#"#!/bin/sh
guest=$(dirname "$0")/../guest
for last; do :; done
case $last in
*guest-ping*) does=ping returns='{}' ;;
*guest-fsfreeze-freeze*) does=freeze returns=2 ;;
*guest-fsfreeze-thaw*) does=thaw returns=2 ;;
esac
if [ ! -e "$guest/agent" ]; then
    echo "error: Guest agent is not responding: QEMU guest agent is not connected" >&2
    exit 1
fi
echo "$(date +%s.%N) $does" >>"$guest/asked"
echo "{\"return\":$returns}"
"#;

/// All guests of a deployment; without an agent from the beginning.
pub struct Guest {
    folder: PathBuf,
}

impl Guest {
    pub(super) fn new(site: &Path) -> Self {
        let (tools, folder) = (site.join("bin"), site.join("guest"));
        fs::create_dir(&tools).unwrap();
        fs::create_dir(&folder).unwrap();
        let virsh = tools.join("virsh");
        fs::write(&virsh, SCRIPT).unwrap();
        fs::set_permissions(&virsh, fs::Permissions::from_mode(0o755)).unwrap();
        give(&folder);
        Self { folder }
    }

    /// From now on the agent answers.
    pub fn start_agent(&self) {
        fs::write(self.folder.join("agent"), "").unwrap();
    }

    /// When (seconds of the Unix epoch) it was told this: `freeze`, `thaw`.
    pub fn told(&self, what: &str) -> Vec<f64> {
        let asked = fs::read_to_string(self.folder.join("asked")).unwrap_or_default();
        let of_kind = asked
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, does)| *does == what);
        of_kind.map(|(when, _)| when.parse().unwrap()).collect()
    }
}
