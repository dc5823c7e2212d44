//! The part of `docs/CLI.md` that is about this program is what it says itself.

use std::path::PathBuf;
use std::process::Command;

const HEAD: &str = "
# backstay-datamover

On a compute host a daemon; for you a command: it backs up files, block devices, RBD images and NBD exports
to a folder or a bucket, and needs no cloud for it. What it writes is what the service writes
([FORMAT.md](FORMAT.md)): a name stands for a workload with one disk, and either program reads the
other's backups. `qemu-img` reads them as well.

* **Names and points.** `--name web` says whose backup it is; each run makes a *point*, called by its time
  unless `--point` says otherwise. `web` means the newest, `web@monday` that one, `web@5fd2` the one whose
  id begins so. Of a workload of the service give name or id, and `--disk` if its servers have several.
* **Incrementals** build upon the newest point of their name. `--incremental` compares checksums and needs
  nothing of the source but its bytes (of an RBD snapshot the storage is asked what changed since the one
  that was backed up, as long as that is kept); `--since` and `--changed` read only what changed.
* **Nothing half-done is seen.** A backup exists when its manifest does; a restored file gets its name when
  it is whole. Interrupted by Ctrl-C, SIGTERM, a crash or a failure that passes, the same command goes on
  where it was if the file has not changed since; devices and NBD exports cannot tell, and begin anew. What
  cannot go on is removed. Where it stands is kept in `--state`: one host, one user.
* **Merges and readers.** An interrupted `merge` costs no point: all can be restored at once. One that cannot be
  undone any more is finished first, by whoever reads, if it was begun with the same `--state`. Beside a merge of
  somebody else, a service perhaps, `restore`, `verify` and `export` are refused or name what they left out.
* **Sizes are exact to the byte,** 0 included.
* **Existing data is safe.** A file that has something in it, and any device, RBD image or NBD export, is
  only written to with `--force`. A destination that is too small is refused before the first byte.
* **For programs:** `--json` prints one object as the last line of standard output. Progress and warnings
  go to standard error.

What the program itself says (made by `BACKSTAY_WRITE_EXPECTED=1 cargo nextest run -p agent-datamover
reference`; the same test without the variable fails when it is stale):
";

const COMMANDS: [&str; 6] = ["backup", "restore", "verify", "merge", "export", "info"];

#[test]
fn the_reference_is_what_the_program_says() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let at = text.find("\n# backstay-datamover\n").unwrap_or(text.len());
    let mut wanted = format!("{HEAD}\n```text\n{}```\n", help_of(&[]));
    for command in COMMANDS {
        let help = help_of(&[command]);
        wanted += &format!("\n## backstay-datamover {command}\n\n```text\n{help}```\n");
    }
    if std::env::var_os("BACKSTAY_WRITE_EXPECTED").is_some() {
        std::fs::write(&page, text[..at].to_owned() + &wanted).unwrap();
        return;
    }
    assert!(text[at..] == wanted, "docs/CLI.md is stale: see its text");
}

fn help_of(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_backstay-datamover"))
        .args(command)
        .arg("--help")
        .env("COLUMNS", "96")
        .env_remove("BACKSTAY_STATE")
        .env_remove("CEPH_CONF")
        .env_remove("AWS_CA_BUNDLE")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

#[test]
fn help_never_shows_a_key_of_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_backstay-datamover"))
        .args(["backup", "--help"])
        .env("AWS_SECRET_ACCESS_KEY", "secret-word")
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("secret-word"));
}
