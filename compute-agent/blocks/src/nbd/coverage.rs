//! Which bytes of a read were answered: all of them, and none twice.

use std::ops::Range;

/// More gaps at once than this is no honest answer, and would cost us time to keep.
const MOST_PARTS: usize = 4096;

/// Disjoint ranges in ascending order.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    parts: Vec<Range<u32>>,
}

impl Coverage {
    /// Notes a range; false when it is empty, overlaps an earlier one or makes too many parts.
    pub(super) fn add(&mut self, range: Range<u32>) -> bool {
        let at = self.parts.partition_point(|part| part.end < range.start);
        let touched: Vec<Range<u32>> = self
            .parts
            .iter()
            .skip(at)
            .take_while(|part| part.start <= range.end)
            .take(3)
            .cloned()
            .collect();
        let overlaps = touched
            .iter()
            .any(|part| part.start < range.end && range.start < part.end);
        if range.is_empty() || overlaps || (touched.is_empty() && self.parts.len() >= MOST_PARTS) {
            return false;
        }
        let start = touched
            .first()
            .map_or(range.start, |part| part.start.min(range.start));
        let end = touched
            .last()
            .map_or(range.end, |part| part.end.max(range.end));
        self.parts
            .splice(at..at + touched.len(), std::iter::once(start..end));
        true
    }

    pub(super) fn is_whole(&self, length: u32) -> bool {
        matches!(self.parts.as_slice(), [all] if *all == (0..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_in_any_order_make_a_whole() {
        let mut coverage = Coverage::default();
        for range in [10..20, 30..40, 0..10, 20..30] {
            assert!(!coverage.is_whole(40));
            assert!(coverage.add(range));
        }
        assert!(coverage.is_whole(40));
    }

    #[test]
    fn a_hostile_comb_is_refused_before_it_costs_memory() {
        let mut coverage = Coverage::default();
        let taken = (0..1_000_000).take_while(|tooth| coverage.add(tooth * 2..tooth * 2 + 1));
        assert_eq!(taken.count(), MOST_PARTS);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_range_is_refused_exactly_if_it_is_empty_or_overlaps(
            ranges in prop::collection::vec((0..60_u32, 0..12_u32), 1..40),
        ) {
            let mut coverage = Coverage::default();
            let mut model = [false; 80];
            for (start, length) in ranges {
                let cells = &mut model[start as usize..(start + length) as usize];
                let is_free = length > 0 && cells.iter().all(|cell| !*cell);
                prop_assert_eq!(coverage.add(start..start + length), is_free);
                if is_free {
                    cells.fill(true);
                }
            }
            prop_assert_eq!(coverage.is_whole(80), model.iter().all(|cell| *cell));
        }
    }
}
