//! Killed in the middle: nothing is seen, the same command goes on.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::shell::{C, Running, Shell, copy, noise, stderr, wait_for};
use crate::state::assert_nothing_left;

const SLOW: &str = "--limit-rate 3000000 --checkpoint-seconds 0 --compression none";
const FAST: &str = "--compression none";

/// A backup that has written something down.
fn begun(shell: &Shell, line: &str) -> Running {
    let mut command = shell.command(&format!("{line} {SLOW}"));
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    wait_for("no checkpoint is written", || {
        let Ok(files) = std::fs::read_dir(shell.path("state/transfers")) else {
            return false;
        };
        let files = files.map(|file| file.unwrap().path());
        // One that is being written is not in its place yet.
        let entries = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let mut entries = entries.filter_map(|path| std::fs::read_to_string(path).ok());
        entries
            .any(|text| text.contains("\"next_cluster\":") && !text.contains("\"next_cluster\":0"))
    });
    running
}

#[test]
fn after_kill_9_nothing_is_seen_and_the_same_command_goes_on() {
    let shell = Shell::new();
    let bytes = noise(200 * C + 77, 1);
    shell.write("disk", &bytes);
    begun(&shell, "backup disk t --name web").signal(Signal::SIGKILL);
    assert_eq!(shell.json("info t")["names"].as_array().unwrap().len(), 0);
    assert!(!shell.stored(".partial").is_empty());
    assert_eq!(shell.json("verify t")["points"], 0);
    let made = shell.json(&format!("backup disk t --name web {FAST}"));
    assert_eq!(made["resumed"], true);
    assert!(
        made["bytes_read"].as_u64().unwrap() < bytes.len() as u64,
        "{made}"
    );
    shell.assert_restores("web", &bytes);
    assert!(shell.stored(".partial").is_empty());
}

#[test]
fn ctrl_c_is_told_and_the_same_command_goes_on() {
    let shell = Shell::new();
    let bytes = noise(200 * C, 2);
    shell.write("disk", &bytes);
    let status = begun(&shell, "backup disk t --name web").signal(Signal::SIGINT);
    assert_eq!(status.code(), Some(130));
    assert_eq!(
        shell.json(&format!("backup disk t --name web {FAST}"))["resumed"],
        true
    );
    shell.assert_restores("web", &bytes);
}

#[test]
fn a_disk_that_has_changed_meanwhile_is_read_from_the_beginning() {
    let shell = Shell::new();
    shell.write("disk", &noise(200 * C, 3));
    begun(&shell, "backup disk t --name web").signal(Signal::SIGKILL);
    let bytes = noise(200 * C, 4);
    shell.write("disk", &bytes);
    let made = shell.json(&format!("backup disk t --name web {FAST}"));
    assert_eq!(made["resumed"], false);
    shell.assert_restores("web", &bytes);
    // What the first one wrote is gone.
    assert!(shell.stored(".partial").is_empty());
    assert_eq!(shell.stored("snapshot_db").len(), 1);
}

/// A backup that was published by a run that was killed before it could forget how to go on.
fn published_in_secret(shell: &Shell, line: &str) {
    begun(shell, line).signal(Signal::SIGKILL);
    copy(&shell.path("state"), &shell.path("remembered"));
    shell.json(&format!("{line} {FAST}"));
    copy(&shell.path("remembered"), &shell.path("state"));
}

#[test]
fn what_was_done_when_it_was_killed_is_done() {
    let shell = Shell::new();
    for (seed, line) in (7..).zip(["--point one", "--point two --incremental", "--incremental"]) {
        let bytes = noise(200 * C, seed);
        shell.write("disk", &bytes);
        let line = format!("backup disk t --name web {line}");
        published_in_secret(&shell, &line);
        let before = shell.json("info t web");
        let made = shell.json(&format!("{line} {FAST}"));
        assert_eq!(
            (&made["resumed"], &made["bytes_read"]),
            (&true.into(), &0.into())
        );
        assert_eq!(shell.json("info t web"), before);
        shell.assert_restores("web", &bytes);
        assert_nothing_left(&shell);
    }
}

#[test]
fn another_backup_than_the_one_that_was_done_is_made() {
    let shell = Shell::new();
    shell.write("disk", &noise(200 * C, 10));
    let line = "backup disk t --name web --point one";
    published_in_secret(&shell, line);
    shell.write("disk", &noise(200 * C, 11));
    assert!(
        shell
            .fails(&format!("{line} {FAST}"), 1)
            .contains("already")
    );
    assert_nothing_left(&shell);
    shell.json(&format!("backup disk t --name web --point two {FAST}"));
    shell.assert_restores("web@two", &shell.read("disk"));
}

#[test]
fn a_backup_that_was_done_and_is_being_merged_away_is_not_removed() {
    let shell = Shell::new();
    let bytes = noise(200 * C, 12);
    shell.write("disk", &bytes);
    published_in_secret(&shell, "backup disk t --name web --point one");
    copy(&shell.path("state"), &shell.path("of-another"));
    shell.json("backup disk t --name web --point two --incremental");
    copy(&shell.path("of-another"), &shell.path("state"));
    shell.withdraw("web@one");
    shell.write("disk", &noise(200 * C, 13));
    shell.json(&format!("backup disk t --name web --point three {FAST}"));
    shell.assert_restores("web@two", &bytes);
    shell.json("merge t web");
    shell.assert_restores("web@two", &bytes);
    assert_nothing_left(&shell);
}

#[test]
fn two_backups_of_one_name_do_not_get_into_each_others_way() {
    let shell = Shell::new();
    shell.write("disk", &noise(200 * C, 5));
    let mut first = begun(&shell, "backup disk t --name web");
    let told = shell.fails("backup disk t --name web", 1);
    assert!(told.contains("another program"), "{told}");
    shell.json("backup disk t --name other");
    first.signal(Signal::SIGINT);
}

#[test]
fn a_restore_that_is_killed_leaves_no_file_that_looks_whole() {
    let shell = Shell::new();
    let bytes = noise(200 * C, 6);
    shell.write("disk", &bytes);
    shell.json("backup disk t --name web");
    let mut command = shell.command("restore t web out --limit-rate 3000000");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut running = Running(child.unwrap());
    wait_for("nothing is written", || {
        std::fs::metadata(shell.path(".out.partial")).is_ok_and(|file| file.len() > 0)
    });
    running.signal(Signal::SIGKILL);
    assert!(!shell.path("out").exists());
    let output = shell.run("restore t web out");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(shell.read("out") == bytes);
    assert!(!shell.path(".out.partial").exists());
}
