//! Whole runs on a share that does not answer: a call that hangs cannot be taken back, but who gave the
//! command can end it, and afterwards the same command does what it is to do.

use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests_faultfs::{Call, Effect, Errno, Rule};

use crate::share::{Share, history};
use crate::shell::wait_for;
use crate::state::{Points, assert_nothing_left, assert_points};

/// A run of which a call hangs.
fn hanging(share: &Share, line: &str, call: Call, after: u64) -> Child {
    share.faults().set([Rule {
        effect: Effect::Hang,
        ..Rule::of(call, after, Errno::EIO)
    }]);
    let mut command = share.shell.command(line);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = child.spawn().unwrap();
    wait_for("nothing hangs", || share.faults().hanging() > 0);
    child
}

/// Told to end, which it does as soon as the share answers.
fn end(share: &Share, mut child: Child, signal: Option<Signal>) -> ExitStatus {
    if let Some(signal) = signal {
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(id, signal).unwrap();
    }
    assert!(share.faults().hanging() > 0);
    share.faults().clear();
    child.wait().unwrap()
}

fn hang(lines: &[&str], calls: &[(Call, u64)], signal: Option<Signal>, statuses: &[Option<i32>]) {
    if Share::is_unavailable() {
        return;
    }
    for line in lines {
        // What is merged away must not be the last that can be.
        let is_merge = line.starts_with("merge");
        let (template, points) = history(if is_merge { 3 } else { 2 });
        let disk = template.read("disk");
        for (call, after) in calls {
            println!("{line}: {call:?} {after}");
            let share = Share::with(&template);
            let child = hanging(&share, line, *call, *after);
            let status = end(&share, child, signal);
            assert!(statuses.contains(&status.code()), "{status}");
            if !status.success() {
                share.shell.json(line);
            }
            let mut now = points.clone();
            match line.split(' ').next() {
                Some("backup") => drop(now.insert("p2".to_owned(), disk.clone())),
                Some("merge") => drop(now.remove("p0")),
                _ => assert!(share.shell.read("out") == points["p1"]),
            }
            assert_points(&share.shell, &now, &Points::new());
            assert_nothing_left(&share.shell);
        }
    }
}

const WRITERS: [&str; 3] = [
    "backup disk t --name web --point p2",
    "backup disk t --name web --point p2 --incremental",
    "merge t web",
];
const WRITES: [(Call, u64); 4] = [
    (Call::Look, 9),
    (Call::Write, 3),
    (Call::Sync, 2),
    (Call::Rename, 1),
];
const READS: [(Call, u64); 3] = [(Call::Look, 9), (Call::Open, 5), (Call::Read, 7)];
const RESTORE: [&str; 1] = ["restore t web out"];

#[test]
fn what_hangs_goes_on_when_the_share_is_back() {
    hang(&WRITERS, &WRITES, None, &[Some(0)]);
    hang(&RESTORE, &READS, None, &[Some(0)]);
}

#[test]
fn what_hangs_and_is_interrupted_ends_in_good_order_when_the_share_is_back() {
    let signal = Some(Signal::SIGINT);
    hang(&WRITERS, &WRITES, signal, &[Some(130), Some(0)]);
    hang(&RESTORE, &READS, signal, &[Some(130), Some(0)]);
}

#[test]
fn what_hangs_and_is_killed_leaves_nothing_half_done() {
    let signal = Some(Signal::SIGKILL);
    hang(&WRITERS, &WRITES, signal, &[None]);
    hang(&RESTORE, &READS, signal, &[None]);
}
