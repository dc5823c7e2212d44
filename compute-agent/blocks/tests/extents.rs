//! Extent arithmetic against the simplest model: one value a byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

use std::{convert::Infallible, ops::Range};

use agent_blocks::{
    Extent, ExtentKind,
    extent::{clip, merge, subtract, to_clusters},
};
use proptest::prelude::*;

const SIZE: u64 = 700;
const CLUSTER: u64 = 64;

type Model = Vec<Option<ExtentKind>>;

fn model(extents: &[Extent]) -> Model {
    let mut model = vec![None; SIZE as usize];
    for extent in extents {
        model[extent.offset as usize..extent.end() as usize].fill(Some(extent.kind));
    }
    model
}

/// Ascending extents that do not overlap; neighbours may touch and be of one kind.
fn extents() -> impl Strategy<Value = Vec<Extent>> {
    let steps = prop::collection::vec((0..90_u64, 1..120_u64, any::<bool>()), 0..12);
    steps.prop_map(|steps| {
        let mut position = 0;
        let mut extents = Vec::new();
        for (gap, length, is_data) in steps {
            let offset = position + if gap < 30 { 0 } else { gap };
            let length = length.min(SIZE.saturating_sub(offset));
            if length == 0 {
                break;
            }
            position = offset + length;
            let kind = if is_data {
                ExtentKind::Data
            } else {
                ExtentKind::Zero
            };
            extents.push(Extent {
                offset,
                length,
                kind,
            });
        }
        extents
    })
}

fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
    extents().prop_map(|extents| extents.iter().map(|e| e.offset..e.end()).collect())
}

fn source(extents: &[Extent]) -> impl Iterator<Item = Result<Extent, Infallible>> {
    extents.iter().copied().map(Ok)
}

fn collect(extents: impl Iterator<Item = Result<Extent, Infallible>>) -> Vec<Extent> {
    let extents: Vec<Extent> = extents.map(|extent| extent.unwrap()).collect();
    for pair in extents.windows(2) {
        assert!(pair[0].end() <= pair[1].offset, "out of order: {pair:?}");
    }
    assert!(
        extents.iter().all(|extent| extent.length > 0),
        "empty: {extents:?}"
    );
    extents
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn merged_extents_cover_the_same_bytes_and_no_neighbours_touch(extents in extents()) {
        let merged = collect(merge(source(&extents)));
        prop_assert_eq!(model(&merged), model(&extents));
        for pair in merged.windows(2) {
            prop_assert!(pair[0].end() < pair[1].offset || pair[0].kind != pair[1].kind);
        }
    }

    #[test]
    fn clipped_extents_are_those_bytes_that_lie_within(
        extents in extents(), start in 0..SIZE, length in 0..SIZE,
    ) {
        let end = (start + length).min(SIZE);
        let mut want = model(&extents);
        for (offset, cell) in want.iter_mut().enumerate() {
            if !(start..end).contains(&(offset as u64)) {
                *cell = None;
            }
        }
        prop_assert_eq!(model(&collect(clip(source(&extents), start..end))), want);
    }

    #[test]
    fn subtracted_ranges_are_gone_and_nothing_else_is(extents in extents(), gone in ranges()) {
        let mut want = model(&extents);
        for range in &gone {
            want[range.start as usize..range.end as usize].fill(None);
        }
        prop_assert_eq!(model(&collect(subtract(source(&extents), gone))), want);
    }

    #[test]
    fn a_cluster_is_zero_if_all_of_it_is_and_data_if_any_of_it_is_mentioned(extents in extents()) {
        let fine = model(&extents);
        let mut want: Model = Vec::new();
        for cluster in fine.chunks(CLUSTER as usize) {
            let kind = if cluster.iter().all(Option::is_none) {
                None
            } else if cluster.iter().all(|cell| *cell == Some(ExtentKind::Zero)) {
                Some(ExtentKind::Zero)
            } else {
                Some(ExtentKind::Data)
            };
            want.extend(cluster.iter().map(|_| kind));
        }
        prop_assert_eq!(model(&collect(to_clusters(source(&extents), CLUSTER, SIZE))), want);
    }
}

#[test]
fn an_error_passes_through_every_adapter_behind_what_came_before_it() {
    let failing = || [Ok(Extent::data(64, 64)), Err("gone")].into_iter();
    let want = [Ok(Extent::data(64, 64)), Err("gone")];
    assert_eq!(merge(failing()).collect::<Vec<_>>(), want);
    assert_eq!(clip(failing(), 0..SIZE).collect::<Vec<_>>(), want);
    assert_eq!(subtract(failing(), []).collect::<Vec<_>>(), want);
    assert_eq!(
        to_clusters(failing(), CLUSTER, SIZE).collect::<Vec<_>>(),
        want
    );
}

#[test]
fn extents_at_the_end_of_the_number_range_do_not_overflow() {
    let extents = [Extent::zero(u64::MAX - 100, 100), Extent::data(u64::MAX, 1)];
    let clusters = collect(to_clusters(source(&extents), 1 << 16, u64::MAX));
    assert_eq!(clusters, [Extent::data(u64::MAX - 0xffff, 0xffff)]);
}
