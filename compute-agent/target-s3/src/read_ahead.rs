//! When to fetch what will be read next: after a reader has gone on where it left off for a while.

/// What is fetched ahead with one request.
pub(crate) const CHUNK_BYTES: u64 = 8 << 20;
/// A reader that leaves out this much (what a newer image of the chain holds) still goes on.
const GAP_BYTES: u64 = 2 << 20;
/// Read in a row, before anything is fetched ahead.
const PROOF_BYTES: u64 = 256 << 10;
/// Readers side by side.
const MOST_READERS: usize = 16;

/// Chunks by number.
pub(crate) type Chunks = std::ops::Range<u64>;

/// One of those who read an object from front to back.
#[derive(Debug)]
struct Reader {
    next: u64,
    in_a_row: u64,
    /// Chunks that were fetched for it and that it may still need.
    ahead: Chunks,
    window: u64,
}

/// All who read one object, the last to read at the end.
#[derive(Debug, Default)]
pub(crate) struct Readers(Vec<Reader>);

/// What to do about chunks at a read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) fetch: Chunks,
    pub(crate) forget: Vec<Chunks>,
}

impl Readers {
    /// Notes a read, and plans with at most `most` chunks ahead of one reader.
    pub(crate) fn note(&mut self, offset: u64, length: u64, size_bytes: u64, most: u64) -> Plan {
        let goes_on = |reader: &Reader| {
            (reader.next..=reader.next.saturating_add(GAP_BYTES)).contains(&offset)
        };
        let mut plan = Plan::default();
        let mut reader = match self.0.iter().rposition(goes_on) {
            Some(found) => self.0.remove(found),
            None => {
                if self.0.len() >= MOST_READERS {
                    plan.forget.push(self.0.remove(0).ahead);
                }
                Reader {
                    next: 0,
                    in_a_row: 0,
                    ahead: 0..0,
                    window: 0,
                }
            }
        };
        // The first read of all is no proof, long as it may be, unless it is at the beginning.
        if reader.next > 0 || offset == 0 {
            reader.in_a_row += length;
        }
        reader.next = offset.saturating_add(length);
        let here = offset / CHUNK_BYTES;
        if reader.ahead.start < here.min(reader.ahead.end) {
            plan.forget
                .push(reader.ahead.start..here.min(reader.ahead.end));
            // It has used them: it deserves more.
            reader.window = (reader.window * 2).min(most);
        }
        reader.ahead.start = here;
        reader.ahead.end = reader.ahead.end.max(here);
        if reader.in_a_row >= PROOF_BYTES {
            reader.window = reader.window.max(most.min(2));
            let end = (here + reader.window).min(size_bytes.div_ceil(CHUNK_BYTES));
            if end > reader.ahead.end {
                plan.fetch = reader.ahead.end..end;
                reader.ahead.end = end;
            }
        }
        self.0.push(reader);
        plan
    }

    /// Chunks from `chunk` on were not fetched for who read last: they may be later.
    pub(crate) fn not_fetched(&mut self, chunk: u64) {
        if let Some(reader) = self.0.last_mut() {
            reader.ahead.end = reader.ahead.end.min(chunk).max(reader.ahead.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 100 * CHUNK_BYTES;

    #[test]
    fn who_jumps_gets_nothing_ahead() {
        let mut readers = Readers::default();
        for at in [5, 90, 3, 70, 20, 8, 60, 1, 44] {
            let plan = readers.note(at * CHUNK_BYTES, 65536, SIZE, 8);
            assert_eq!(plan, Plan::default());
        }
    }

    #[test]
    fn who_goes_on_gets_more_and_more_and_what_was_read_is_forgotten() {
        let mut readers = Readers::default();
        let (mut fetched, mut forgotten) = (0..0, 0);
        for step in 0..100 * (CHUNK_BYTES >> 18) {
            let plan = readers.note(step << 18, 1 << 18, SIZE, 8);
            if !plan.fetch.is_empty() {
                assert_eq!(plan.fetch.start, fetched.end, "no chunk twice");
                fetched = plan.fetch;
            }
            for chunks in plan.forget {
                assert_eq!(chunks.start, forgotten);
                forgotten = chunks.end;
            }
            assert!(fetched.end - forgotten <= 8);
        }
        assert_eq!((fetched.end, forgotten), (100, 99));
    }

    #[test]
    fn a_small_gap_does_not_end_it() {
        let mut readers = Readers::default();
        readers.note(0, PROOF_BYTES, SIZE, 8);
        let plan = readers.note(PROOF_BYTES + GAP_BYTES, 4096, SIZE, 8);
        assert_eq!(plan, Plan::default(), "what it needs is on its way");
        let plan = readers.note(CHUNK_BYTES - 4096, 4096, SIZE, 8);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn what_there_was_no_memory_for_is_asked_for_again() {
        let mut readers = Readers::default();
        assert_eq!(readers.note(0, PROOF_BYTES, SIZE, 4).fetch, 0..2);
        readers.not_fetched(1);
        assert_eq!(readers.note(PROOF_BYTES, 1, SIZE, 4).fetch, 1..2);
    }

    #[test]
    fn two_readers_of_one_object_do_not_disturb_each_other() {
        let mut readers = Readers::default();
        let half = SIZE / 2;
        readers.note(0, PROOF_BYTES, SIZE, 4);
        assert_eq!(readers.note(half, PROOF_BYTES, SIZE, 4), Plan::default());
        let on = half + PROOF_BYTES;
        assert_eq!(readers.note(on, PROOF_BYTES, SIZE, 4).fetch, 50..52);
        let plan = readers.note(PROOF_BYTES, CHUNK_BYTES, SIZE, 4);
        assert_eq!(plan.forget, []);
        let plan = readers.note(PROOF_BYTES + CHUNK_BYTES, 1, SIZE, 4);
        assert_eq!(plan.fetch, 2..5);
        assert_eq!(plan.forget.into_iter().flatten().collect::<Vec<_>>(), [0]);
    }
}
