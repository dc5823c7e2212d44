//! Chains written at random, merged at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::history::{History, Way};
use crate::support::plan::plan;

fn way() -> impl Strategy<Value = Way> {
    let ways = [
        Way::InPlace,
        Way::InPlace,
        Way::Composed,
        Way::ComposedLikeS3,
        Way::Anew,
    ];
    select(ways.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_merge_changes_nothing_but_the_number_of_images(
        plans in vec(plan(), 2..5),
        merges in vec((any::<Index>(), way()), 1..4),
        later in vec((plan(), way()), 0..4),
    ) {
        let mut history = History::new();
        for plan in &plans {
            history.add(plan);
        }
        for (place, way) in merges {
            if history.images.len() > 1 {
                history.merge(place.index(history.images.len() - 1), way);
                history.assert_all();
            }
        }
        // Retention: a new image, and the oldest goes.
        for (plan, way) in later {
            history.add(&plan);
            history.merge(0, way);
            history.assert_all();
        }
    }
}
