//! Backups for months, of which a few are kept.

use std::os::unix::fs::MetadataExt;

use agent_contract::ImageCompression;

use super::history::{History, Kind, image_name, name};
use crate::transfer::test_host::{C, noise};

const CLUSTERS: usize = 300;
/// 3 %.
const CHANGED: usize = 9;
const MERGES: usize = 200;

/// What the oldest image takes on the target after each merge, at most, and what it holds.
fn largest_share(kind: Kind, compression: ImageCompression) -> f64 {
    let mut history = History::new(kind);
    let mut bytes = noise(CLUSTERS * C, 1);
    history.back_up(1, bytes.clone(), &[], compression);
    let mut state = 7_usize;
    let mut largest: f64 = 0.0;
    for number in 2..MERGES + 2 {
        let mut changes = Vec::new();
        for _ in 0..CHANGED {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let cluster = (state >> 33) % CLUSTERS;
            changes.push(cluster as u64);
        }
        changes.sort_unstable();
        changes.dedup();
        for cluster in &changes {
            let at = *cluster as usize * C;
            bytes[at..at + C].copy_from_slice(&noise(C, (number * 1000) as u64 + cluster));
        }
        let changes: Vec<_> = changes.iter().map(|cluster| (*cluster, 1)).collect();
        history.back_up(number, bytes.clone(), &changes, compression);
        let facts = history.merge(number - 1, number).unwrap();
        let taken = match &history.root {
            Some(root) => {
                std::fs::metadata(root.join(image_name(number)))
                    .unwrap()
                    .blocks()
                    * 512
            }
            None => {
                let stat = history.target.stat(&name(&image_name(number))).unwrap();
                stat.unwrap().size_bytes
            }
        };
        assert_eq!(facts.data_bytes, (CLUSTERS * C) as u64);
        // Header, tables and counts are live too.
        let live = facts.data_bytes + 6 * C as u64;
        largest = largest.max(taken as f64 / live as f64);
        if number % 50 == 0 {
            history.assert_all();
        }
    }
    history.assert_all();
    history.assert_tidy();
    largest
}

#[test]
fn a_directory_never_holds_more_than_1_3_times_the_live_bytes() {
    let share = largest_share(Kind::Directory, ImageCompression::None);
    assert!(share < 1.3, "{share}");
}

#[test]
fn where_space_cannot_be_punched_it_is_used_again() {
    // The memory target's files stay as long as they are.
    let share = largest_share(Kind::Memory, ImageCompression::None);
    assert!(share < 1.3, "{share}");
}

#[test]
fn a_bucket_never_holds_more_than_1_3_times_the_live_bytes() {
    let share = largest_share(Kind::LikeS3, ImageCompression::None);
    assert!(share < 1.3, "{share}");
}
