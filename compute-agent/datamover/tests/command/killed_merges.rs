//! Merges that are killed at random moments: every point that is listed can be restored at once, without
//! the merge having come to its end, and the same command goes on.

use std::process::Command;

use crate::killed::{change, disk};
use crate::killer::{Killer, span_of};
use crate::place::On;
use crate::shell::Shell;
use crate::state::{Points, assert_images, assert_nothing_left, listed};

pub(crate) const POINTS: usize = 4;
const MERGE: &str = "merge t web --keep 1";

/// A chain.
pub(crate) fn history(on: On, compression: [&str; POINTS]) -> (Shell, Points) {
    let shell = Shell::on(on);
    let mut bytes = disk(5);
    let mut points = Points::new();
    for (number, compression) in compression.iter().enumerate() {
        let point = format!("p{number}");
        shell.write("disk", &bytes);
        shell.json(&format!(
            "backup disk t --name web --point {point} --incremental --compression {compression}"
        ));
        shell.write(&point, &bytes);
        points.insert(point, bytes.clone());
        change(&mut bytes, number as u64 + 1);
    }
    (shell, points)
}

/// Who knows nothing of merges sees the disk as it was, too.
fn assert_qemu_sees(shell: &Shell, point: &str) {
    let image = shell.files().join(shell.image(&format!("web@{point}")));
    let mut command = Command::new("qemu-img");
    command.args(["compare", "-f", "raw", "-F", "qcow2"]);
    let compared = command.arg(shell.path(point)).arg(image).output().unwrap();
    assert!(compared.status.success(), "{compared:?}");
}

/// What is listed, which must be the newest ones, is whole.
pub(crate) fn assert_newest(shell: &Shell, points: &Points) -> usize {
    shell.settle();
    assert_images(shell);
    assert_qemu_sees(shell, points.keys().next_back().unwrap());
    let found = listed(shell);
    let newest: Vec<_> = points.keys().rev().take(found.len()).rev().collect();
    assert!(!found.is_empty() && found.iter().eq(newest), "{found:?}");
    for point in &found {
        shell.assert_restores(&format!("web@{point}"), &points[point]);
    }
    found.len()
}

/// The same, of a copy: a restore may bring a merge nearer to its end.
pub(crate) fn assert_newest_of_copy(shell: &Shell, points: &Points) {
    shell.settle();
    let as_it_was = shell.keep("as-it-was");
    assert_newest(shell, points);
    shell.put_back(&as_it_was);
}

fn kill_merges(seed: u64, compression: [&str; POINTS], kills: usize) {
    let (shell, points) = history(On::Folder, compression);
    let template = shell.keep("template");
    let mut killer = Killer::new(seed, span_of(&mut shell.command(MERGE)));
    while killer.wants(kills) {
        shell.put_back(&template);
        let mut is_done = false;
        while !is_done && killer.wants(kills) {
            is_done = !killer.kill(&mut shell.command(MERGE));
            if killer.draw() < 0.5 {
                assert_newest(&shell, &points);
            } else {
                assert_newest_of_copy(&shell, &points);
            }
            // Not always to the end: most of what can be interrupted is at the beginning.
            is_done |= killer.draw() < 0.3;
        }
        shell.json(MERGE);
        assert_eq!(assert_newest(&shell, &points), 1);
        assert_eq!(shell.json("verify t")["damage_count"], 0);
        assert_nothing_left(&shell);
    }
}

#[test]
fn a_merge_costs_no_point_that_stays() {
    kill_merges(6, ["none"; POINTS], 20);
}

#[test]
fn a_merge_of_compressed_images_costs_no_point_that_stays() {
    kill_merges(7, ["zstd"; POINTS], 20);
}

#[test]
fn a_merge_that_writes_anew_costs_no_point_that_stays() {
    kill_merges(8, ["zstd", "zlib", "none", "zlib"], 10);
}
