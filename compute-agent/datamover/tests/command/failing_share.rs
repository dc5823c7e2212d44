//! Whole runs on a share that fails from one of its calls on: what went wrong is said, what was there
//! before stays, and when the share is well again the same command does what it is to do.

use tests_faultfs::{Call, Errno, Rule};

use crate::share::{Share, assert_told, history, strike};
use crate::shell::{Shell, stderr};
use crate::state::{Points, assert_nothing_left, assert_points};

const FULL: &str = "backup disk t --name web --point p0 --checkpoint-seconds 0";
const INCREMENTAL: &str = "backup disk t --name web --point p2 --incremental";

/// Of a history: what must be there whatever happens, what may be, and what is in the end.
struct Expected {
    always: Points,
    maybe: Points,
    after: Points,
}

fn strike_writer(line: &str, template: &Shell, expected: &Expected) {
    strike(|call, calls, errno, words| {
        let share = Share::with(template);
        share.faults().set([Rule::of(call, calls, errno)]);
        let output = share.shell.run(line);
        let is_struck = share.faults().struck() > 0;
        share.faults().clear();
        println!("{call:?} {calls} {errno:?}: {}", stderr(&output));
        if !output.status.success() {
            assert_told(&output, words);
            assert_points(&share.shell, &expected.always, &expected.maybe);
            share.shell.json(line);
        }
        assert_points(&share.shell, &expected.after, &Points::new());
        assert_nothing_left(&share.shell);
        is_struck
    });
}

#[test]
fn a_full_backup() {
    if Share::is_unavailable() {
        return;
    }
    let (template, none) = history(0);
    let after = Points::from([("p0".to_owned(), template.read("disk"))]);
    let expected = Expected {
        always: none,
        maybe: after.clone(),
        after,
    };
    strike_writer(FULL, &template, &expected);
}

#[test]
fn an_incremental_backup() {
    if Share::is_unavailable() {
        return;
    }
    let (template, points) = history(2);
    let mut after = points.clone();
    after.insert("p2".to_owned(), template.read("disk"));
    let expected = Expected {
        always: points,
        maybe: after.clone(),
        after,
    };
    strike_writer(INCREMENTAL, &template, &expected);
}

/// Nearly done, it cannot be completed, and what was written cannot be removed, or not all of it.
#[test]
fn a_backup_that_is_half_removed_is_no_hindrance() {
    if Share::is_unavailable() {
        return;
    }
    let (template, none) = history(0);
    let after = Points::from([("p0".to_owned(), template.read("disk"))]);
    for removed in 0..6 {
        let share = Share::with(&template);
        let of_image = |path_has: &str, after| Rule {
            path_has: path_has.to_owned(),
            ..Rule::of(Call::Rename, after, Errno::ENOSPC)
        };
        share.faults().set([
            of_image(".index.partial", u64::MAX),
            of_image(".partial", 0),
            Rule::of(Call::Remove, removed, Errno::EROFS),
        ]);
        let output = share.shell.run(FULL);
        share.faults().clear();
        assert_told(&output, "the target is full");
        assert_points(&share.shell, &none, &none);
        share.shell.json(FULL);
        assert_points(&share.shell, &after, &none);
        assert_nothing_left(&share.shell);
    }
}

#[test]
fn a_merge() {
    if Share::is_unavailable() {
        return;
    }
    let (template, points) = history(3);
    let newest = points.clone().split_off("p2");
    let expected = Expected {
        always: newest.clone(),
        maybe: points,
        after: newest,
    };
    strike_writer("merge t web --keep 1", &template, &expected);
}

/// The successor's manifest says already what the image is, and the rest cannot be done.
#[test]
fn a_merge_that_lacks_only_its_last_steps_is_finished() {
    if Share::is_unavailable() {
        return;
    }
    let (template, points) = history(3);
    let newest = points.clone().split_off("p1");
    for removed in 1..6 {
        let share = Share::with(&template);
        let rule = Rule::of(Call::Remove, removed, Errno::EIO);
        share.faults().set([rule]);
        let output = share.shell.run("merge t web");
        share.faults().clear();
        assert_told(&output, "the target is not available");
        share.shell.json("merge t web");
        assert_points(&share.shell, &newest, &Points::new());
        assert_nothing_left(&share.shell);
    }
}

/// Somebody else may be at it: who only reads leaves a merge alone that it did not begin.
#[test]
fn a_merge_of_another_that_is_nearly_done_is_not_touched() {
    if Share::is_unavailable() {
        return;
    }
    let (template, points) = history(3);
    let newest = points.clone().split_off("p1");
    let mut refused = 0;
    for removed in 1..6 {
        let share = Share::with(&template);
        let rule = Rule::of(Call::Remove, removed, Errno::EIO);
        share.faults().set([rule]);
        share.shell.fails("merge t web", 1);
        share.faults().clear();
        let left = share.shell.stored("");
        for line in ["restore t web out", "verify t"] {
            let mut command = share.shell.command(line);
            let another = command.env("BACKSTAY_STATE", share.shell.path("another"));
            let output = another.output().unwrap();
            let told = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() || told.contains("is under way"),
                "{told}"
            );
            refused += usize::from(!output.status.success());
        }
        assert_eq!(share.shell.stored(""), left);
        assert_points(&share.shell, &newest, &Points::new());
        share.shell.json("merge t web");
        assert_nothing_left(&share.shell);
    }
    assert!(refused > 0);
}

#[test]
fn a_restore() {
    if Share::is_unavailable() {
        return;
    }
    let (template, points) = history(3);
    strike(|call, calls, errno, words| {
        let share = Share::with(&template);
        share.faults().set([Rule::of(call, calls, errno)]);
        let output = share.shell.run("restore t web out");
        let is_struck = share.faults().struck() > 0;
        share.faults().clear();
        println!("{call:?} {calls} {errno:?}: {}", stderr(&output));
        if !output.status.success() {
            assert_told(&output, words);
            assert!(!share.shell.path("out").exists());
            assert!(!share.shell.path(".out.partial").exists());
            share.shell.json("restore t web out");
        }
        assert!(share.shell.read("out") == points["p2"]);
        is_struck
    });
}
