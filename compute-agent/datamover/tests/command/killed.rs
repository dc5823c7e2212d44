//! Backups and restores that are killed at random moments, as often as it takes: what is listed is whole,
//! nothing that was whole is lost, and what is let through at last leaves nothing of those before.

use std::fs;

use crate::killer::{Killer, span_of};
use crate::shell::{C, Shell, noise};
use crate::state::{Points, assert_nothing_left, assert_points, journal, listed};

const CLUSTERS: usize = 512;
const RUN: usize = 16 * C;

/// Of data and nothing by turns.
pub(crate) fn disk(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; CLUSTERS * C];
    for (number, run) in bytes.chunks_mut(RUN).step_by(2).enumerate() {
        run.copy_from_slice(&noise(RUN, seed * 100 + number as u64));
    }
    bytes
}

/// Some of it is other data now, some is nothing.
pub(crate) fn change(bytes: &mut [u8], seed: u64) {
    for number in 0..CLUSTERS / 16 {
        let at = number * RUN + usize::try_from(seed % 16).unwrap() * C;
        match (number as u64 + seed) % 5 {
            0 => bytes[at..at + C].fill(0),
            1 | 2 => bytes[at..at + C].copy_from_slice(&noise(C, seed * 1000 + number as u64)),
            _ => {}
        }
    }
}

pub(crate) fn backup(point: &str, compression: &str) -> String {
    format!(
        "backup disk t --name web --point {point} --checkpoint-seconds 0 --compression {compression}"
    )
}

pub(crate) fn one(point: &str, bytes: &[u8]) -> Points {
    Points::from([(point.to_owned(), bytes.to_owned())])
}

fn new(bytes: &[u8]) -> Shell {
    let shell = Shell::new();
    shell.write("disk", bytes);
    shell
}

#[test]
fn a_first_backup_is_seen_whole_or_not_at_all() {
    let bytes = disk(1);
    let mut killer = Killer::new(1, span_of(&mut new(&bytes).command(&backup("p", "zstd"))));
    while killer.wants(45) {
        let shell = new(&bytes);
        // Each time another one: what the one before has written is thrown away.
        for number in 0.. {
            let point = format!("p{number}");
            let is_killed = killer.kill(&mut shell.command(&backup(&point, "zstd")));
            assert_points(&shell, &Points::new(), &one(&point, &bytes));
            if !is_killed || !listed(&shell).is_empty() || !killer.wants(45) {
                break;
            }
        }
        shell.json(&backup("last", "zstd"));
        shell.assert_restores("web", &bytes);
        assert_nothing_left(&shell);
    }
}

#[test]
fn a_backup_that_is_killed_again_and_again_goes_on_where_it_was() {
    let bytes = disk(2);
    let span = span_of(&mut new(&bytes).command(&backup("p", "none")));
    let mut killer = Killer::new(2, span);
    let mut has_resumed = false;
    while killer.wants(45) || !has_resumed {
        let shell = new(&bytes);
        let mut is_done = false;
        while !is_done {
            is_done = !killer.kill(&mut shell.command(&backup("p", "none")));
            assert_points(&shell, &Points::new(), &one("p", &bytes));
            // Killed when nothing was left to be done.
            is_done |= !listed(&shell).is_empty() && journal(&shell).is_empty();
            if !is_done && (killer.draw() < 0.3 || !killer.wants(45)) {
                let made = shell.json(&backup("p", "none"));
                has_resumed |= made["resumed"] == true;
                is_done = true;
            }
        }
        shell.assert_restores("web@p", &bytes);
        assert_nothing_left(&shell);
    }
}

#[test]
fn an_incremental_backup_costs_no_earlier_one() {
    let line = |number: usize| backup(&format!("p{number}"), "zstd") + " --incremental";
    let mut bytes = disk(3);
    let shell = new(&bytes);
    shell.json(&line(0));
    change(&mut bytes, 1);
    shell.write("disk", &bytes);
    let mut killer = Killer::new(3, span_of(&mut shell.command(&line(1))));
    let mut seed = 2;
    while killer.wants(40) {
        let shell = new(&bytes);
        shell.json(&line(0));
        let mut points = one("p0", &bytes);
        while points.len() < 3 && killer.wants(40) {
            // Of a disk that has changed meanwhile, or the same command goes on.
            if killer.draw() < 0.5 || points.values().any(|point| *point == bytes) {
                change(&mut bytes, seed);
                seed += 1;
                shell.write("disk", &bytes);
            }
            let point = format!("p{}", points.len());
            killer.kill(&mut shell.command(&line(points.len())));
            assert_points(&shell, &points, &one(&point, &bytes));
            if listed(&shell).contains(&point) {
                points.insert(point, bytes.clone());
            }
        }
        shell.json(&line(points.len()));
        points.insert(format!("p{}", points.len()), bytes.clone());
        assert_points(&shell, &points, &Points::new());
        assert_nothing_left(&shell);
    }
}

#[test]
fn a_restored_file_is_whole_or_not_there() {
    let mut bytes = disk(4);
    let shell = new(&bytes);
    shell.json(&backup("one", "zstd"));
    change(&mut bytes, 1);
    shell.write("disk", &bytes);
    shell.json(&(backup("two", "zstd") + " --incremental"));
    let restore = || shell.command("restore t web out");
    let mut killer = Killer::new(4, span_of(&mut restore()));
    while killer.wants(20) {
        fs::remove_file(shell.path("out")).unwrap();
        let is_killed = killer.kill(&mut restore());
        assert!(is_killed || shell.path("out").exists());
        if !shell.path("out").exists() {
            shell.json("restore t web out");
        }
        assert!(shell.read("out") == bytes);
        assert!(!shell.path(".out.partial").exists());
    }
    assert_nothing_left(&shell);
}
