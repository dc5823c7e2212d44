//! An open L2 table in a checkpoint: short, since what is contiguous in the guest mostly is so in the
//! file.

use serde::{Deserialize, Serialize};

use super::open_table::{Entry, OpenTable, sectors_of};
use crate::geometry::{CLUSTER_BYTES, L2_ENTRIES, SECTOR_BYTES};

/// Larger offsets are in no file, and their sums would not be numbers.
const OFFSET_LIMIT: u64 = 1 << 54;

/// An [`OpenTable`] as runs of guest clusters, which are counted from the table's first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedTable {
    l1_index: u64,
    /// First, count, and the host cluster of the first or 0 if they are zero.
    runs: Vec<(u64, u64, u64)>,
    /// First, its payload's offset, and how far it is from each payload to the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    packed: Vec<(u64, u64, Vec<u64>)>,
}

/// Why a saved table is none.
#[derive(Debug, thiserror::Error)]
#[error("an impossible table in a checkpoint")]
pub(super) struct ImpossibleTable;

impl From<OpenTable> for SavedTable {
    fn from(table: OpenTable) -> Self {
        let mut saved = Self {
            l1_index: table.l1_index(),
            runs: Vec::new(),
            packed: Vec::new(),
        };
        let mut packed_end = 0;
        let mut entries = table.entries().peekable();
        while let Some((place, entry)) = entries.next() {
            match entry {
                Entry::Nowhere => {}
                Entry::Zero => saved.add(place, 0),
                Entry::Data { host_cluster } => saved.add(place, host_cluster),
                Entry::Packed { offset, sectors } => {
                    let next = entries.peek().map(|(_, entry)| *entry);
                    let length = packed_length(offset, sectors, next);
                    saved.add_packed(place, offset, length, packed_end);
                    packed_end = offset + length;
                }
            }
        }
        saved
    }
}

/// The length of a payload is known from where the next one begins, else as sectors only; both give
/// the same entry.
fn packed_length(offset: u64, sectors: u64, next: Option<Entry>) -> u64 {
    let to_next = match next {
        Some(Entry::Packed { offset: next, .. }) => next.checked_sub(offset),
        _ => None,
    };
    to_next
        .filter(|length| *length > 0 && sectors_of(offset, *length) == sectors)
        .unwrap_or(sectors * SECTOR_BYTES - offset % SECTOR_BYTES)
}

impl SavedTable {
    fn add(&mut self, place: u64, host_cluster: u64) {
        if let Some((first, count, host_first)) = self.runs.last_mut() {
            let expected = if *host_first == 0 {
                0
            } else {
                *host_first + *count
            };
            if *first + *count == place && expected == host_cluster {
                *count += 1;
                return;
            }
        }
        self.runs.push((place, 1, host_cluster));
    }

    fn add_packed(&mut self, place: u64, offset: u64, length: u64, last_end: u64) {
        if let Some((first, _, lengths)) = self.packed.last_mut()
            && *first + lengths.len() as u64 == place
            && offset == last_end
        {
            lengths.push(length);
        } else {
            self.packed.push((place, offset, vec![length]));
        }
    }
}

impl TryFrom<SavedTable> for OpenTable {
    type Error = ImpossibleTable;

    fn try_from(saved: SavedTable) -> Result<Self, ImpossibleTable> {
        let is_in_table = |first: u64, count: u64| {
            let end = first.checked_add(count);
            count > 0 && end.is_some_and(|end| end <= L2_ENTRIES)
        };
        let mut table = Self::new(saved.l1_index);
        let base = saved.l1_index.checked_mul(L2_ENTRIES);
        let base = base
            .filter(|base| base.checked_add(L2_ENTRIES).is_some())
            .ok_or(ImpossibleTable)?;
        for (first, count, host_cluster) in saved.runs {
            if !is_in_table(first, count) || host_cluster >= OFFSET_LIMIT / CLUSTER_BYTES {
                return Err(ImpossibleTable);
            }
            let guest = base + first..base + first + count;
            match host_cluster {
                0 => table.map_zero(guest),
                host_cluster => table.map_data(guest, host_cluster * CLUSTER_BYTES),
            }
        }
        for (first, mut offset, lengths) in saved.packed {
            if !is_in_table(first, lengths.len() as u64) {
                return Err(ImpossibleTable);
            }
            for (cluster, length) in (base + first..).zip(lengths) {
                if length == 0 || length > 2 * CLUSTER_BYTES || offset >= OFFSET_LIMIT {
                    return Err(ImpossibleTable);
                }
                table.map_packed(cluster, offset, length);
                offset += length;
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_as_it_was() {
        let base = 3 * L2_ENTRIES;
        let mut table = OpenTable::new(3);
        table.map_data(base..base + 5, 7 * CLUSTER_BYTES);
        table.map_data(base + 5..base + 6, 20 * CLUSTER_BYTES);
        table.map_zero(base + 9..base + 12);
        let mut offset = 30 * CLUSTER_BYTES + 13;
        for (cluster, length) in (base + 20..).zip([9, 600, 503, 512, 65535, 8]) {
            table.map_packed(cluster, offset, length);
            offset += length;
        }
        // The last one before a cut; what follows lies in another cluster, or before.
        table.map_packed(base + 26, 40 * CLUSTER_BYTES, 1000);
        table.map_packed(base + 27, 29 * CLUSTER_BYTES, 1000);
        table.map_data(base + 28..base + 29, 50 * CLUSTER_BYTES);
        table.map_packed(base + L2_ENTRIES - 1, 60 * CLUSTER_BYTES, 8);

        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<OpenTable>(&json).unwrap(), table);
        assert!(json.len() < 300, "{json}");
    }

    #[test]
    fn what_no_table_can_be_is_refused() {
        let max = u64::MAX;
        for json in [
            format!(r#"{{"l1_index": {max}, "runs": [[8, 1, 3]]}}"#),
            format!(r#"{{"l1_index": 1, "runs": [[{max}, 2, 3]]}}"#),
            format!(r#"{{"l1_index": 1, "runs": [[8, 1, {max}]]}}"#),
            r#"{"l1_index": 1, "runs": [[8191, 2, 3]]}"#.to_owned(),
            r#"{"l1_index": 1, "runs": [[0, 0, 3]]}"#.to_owned(),
            r#"{"l1_index": 1, "runs": [], "packed": [[8191, 0, [9, 9]]]}"#.to_owned(),
            r#"{"l1_index": 1, "runs": [], "packed": [[0, 0, [0]]]}"#.to_owned(),
            r#"{"l1_index": 1, "runs": [], "packed": [[0, 0, [200000]]]}"#.to_owned(),
            format!(r#"{{"l1_index": 1, "runs": [], "packed": [[0, {max}, [9]]]}}"#),
        ] {
            assert!(serde_json::from_str::<OpenTable>(&json).is_err(), "{json}");
        }
    }
}
