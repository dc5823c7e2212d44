//! Runs onto a bucket that are killed after each single change they make to it, one run for each.

use std::fs;
use std::process::{Command, Stdio};

use crate::killed::{backup, change, disk, one};
use crate::killed_merges::{POINTS, assert_newest, assert_newest_of_copy, history};
use crate::place::On;
use crate::shell::{Running, Shell, copy, wait_for};
use crate::state::{Points, assert_nothing_left, assert_points, journal, listed};

const MERGE: &str = "merge t web --keep 3";

/// False if it had come to its end, which must be a good one, before it changes more.
fn kill_after(changes: u64, shell: &Shell, command: &mut Command) -> bool {
    let server = shell.server();
    server.pause_after(changes);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(quiet.spawn().unwrap());
    let mut ended = None;
    wait_for("a change or an end", || {
        ended = running.0.try_wait().unwrap();
        ended.is_some() || server.is_pausing()
    });
    drop(running);
    server.resume();
    assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
    ended.is_none()
}

/// From the same beginning each time; says how many changes a run makes.
fn after_each_change(
    shell: &Shell,
    line: &str,
    mut assert_killed: impl FnMut(u64),
    mut assert_whole: impl FnMut(u64),
) -> u64 {
    let template = shell.keep("template");
    fs::create_dir_all(shell.path("state")).unwrap();
    copy(&shell.path("state"), &shell.path("state-before"));
    for changes in 0.. {
        shell.put_back(&template);
        copy(&shell.path("state-before"), &shell.path("state"));
        let is_killed = kill_after(changes, shell, &mut shell.command(line));
        if is_killed {
            assert_killed(changes);
        }
        assert_whole(changes);
        assert_nothing_left(shell);
        if !is_killed {
            println!("{changes} changes");
            shell.put_back(&template);
            copy(&shell.path("state-before"), &shell.path("state"));
            return changes;
        }
    }
    unreachable!()
}

/// Killed after each change, it is asked for again and goes on; once more after each, it is thrown away for another.
fn kill_backups(shell: &Shell, bytes: &[u8], before: &Points, line: impl Fn(&str) -> String) {
    for is_asked_again in [true, false] {
        let changes = after_each_change(
            shell,
            &line("p"),
            |_| assert_points(shell, before, &one("p", bytes)),
            |_| {
                let point = if is_asked_again { "p" } else { "last" };
                let is_done = listed(shell).iter().any(|made| made == point);
                if !is_done || !journal(shell).is_empty() {
                    shell.json(&line(point));
                }
                shell.assert_restores(&format!("web@{point}"), bytes);
            },
        );
        assert!(changes > 10, "{changes}");
    }
}

#[test]
fn a_first_backup() {
    let (shell, bytes) = (Shell::on(On::Bucket), disk(12));
    shell.write("disk", &bytes);
    kill_backups(&shell, &bytes, &Points::new(), |point| {
        backup(point, "none")
    });
}

#[test]
fn an_incremental_backup() {
    let (shell, mut bytes) = (Shell::on(On::Bucket), disk(13));
    shell.write("disk", &bytes);
    let line = |point: &str| backup(point, "zstd") + " --incremental";
    shell.json(&line("before"));
    let before = one("before", &bytes);
    change(&mut bytes, 1);
    shell.write("disk", &bytes);
    kill_backups(&shell, &bytes, &before, line);
}

#[test]
fn a_merge() {
    let (shell, points) = history(On::Bucket, ["none"; POINTS]);
    let changes = after_each_change(
        &shell,
        MERGE,
        |changes| match changes % 3 {
            0 => drop(assert_newest(&shell, &points)),
            1 => assert_newest_of_copy(&shell, &points),
            // Nobody has looked.
            _ => shell.settle(),
        },
        |_| {
            shell.json(MERGE);
            assert_eq!(assert_newest(&shell, &points), POINTS - 1);
        },
    );
    assert!(changes > 10, "{changes}");
}
