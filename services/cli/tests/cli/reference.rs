//! `docs/CLI.md` and the help texts.

use std::path::PathBuf;

use crate::expected::compare;
use crate::workloadmgr::{Ended, bare};

fn run(arguments: &[&str]) -> Ended {
    bare(arguments).output().unwrap().into()
}

#[test]
fn the_reference_page_is_what_the_program_says() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
    // A part of another program follows, which a test of that one holds.
    let text = std::fs::read_to_string(&page).unwrap();
    let rest = text.find("\n# backstay-datamover\n");
    let rest = rest.map(|at| text[at..].to_owned()).unwrap_or_default();
    compare(&page, &(services_cli::reference() + &rest));
}

#[test]
fn the_overview_groups_every_command_and_tells_exit_statuses() {
    for arguments in [&["--help"][..], &["help"], &[]] {
        let ended = run(arguments);
        assert_eq!(ended.code, if arguments.is_empty() { 2 } else { 0 });
        let text = format!("{}{}", ended.stdout, ended.stderr);
        for part in [
            "Workloads (",
            "Snapshots (",
            "workload-create",
            "trust-delete",
            "130  Ctrl-C",
        ] {
            assert!(text.contains(part), "{arguments:?} lacks {part}: {text}");
        }
    }
}

#[test]
fn help_never_shows_a_password_of_the_environment() {
    let ended: Ended = bare(&["--help"])
        .env("OS_PASSWORD", "secret-word")
        .output()
        .unwrap()
        .into();
    assert!(ended.stdout.contains("OS_PASSWORD"));
    assert!(!ended.stdout.contains("secret-word"));
}

#[test]
fn the_version_is_ours() {
    let wanted = format!("workloadmgr {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]).stdout, wanted);
}

#[test]
fn completion_scripts_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["complete", shell]);
        assert_eq!(ended.code, 0);
        assert!(
            ended.stdout.contains("snapshot-oneclick-restore"),
            "{shell}"
        );
    }
}
