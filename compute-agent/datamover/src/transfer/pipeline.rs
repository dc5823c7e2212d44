//! Work cut into batches, done by several threads, its results taken in the order of the batches.
//!
//! ```text
//! next ──(one at a time)──> worker ─┐
//!                           worker ─┼─> results, in order ──> take (the caller's thread)
//!                           worker ─┘
//! ```
//! No more than a window of batches is between `next` and `take`, so memory is bounded however the
//! threads get on with each other. The first error in the order of the batches is the one that is told:
//! all before it was taken, nothing behind it is.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::error::JobError;

const MOST_WORKERS: usize = 16;

/// Threads that a transfer is worked on with: some wait for storage while others compute.
pub(crate) fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).clamp(4, MOST_WORKERS)
}

/// The same where each of them waits for two storages, one that it reads and one that it writes.
pub(crate) fn copying_workers() -> usize {
    (2 * workers()).min(MOST_WORKERS)
}

/// Batches that may be under way at once.
pub(crate) fn window(workers: usize) -> usize {
    workers + 2
}

/// A thread's way to do a batch.
pub(crate) type Work<'a, B, R> = Box<dyn FnMut(B) -> Result<R, JobError> + 'a>;

/// Ends when `next` has no more batches, or with the first error. `next` is asked by one thread at a
/// time, in order. `begin` makes what a thread needs once it has a first batch. `take` is told the error
/// too, if one ends the work, and may put its own in its place.
pub(crate) fn run<'a, B: Send, R: Send>(
    workers: usize,
    next: impl FnMut() -> Result<Option<B>, JobError> + Send,
    begin: impl Fn(usize) -> Result<Work<'a, B, R>, JobError> + Sync,
    mut take: impl FnMut(Result<R, JobError>) -> Result<(), JobError>,
) -> Result<(), JobError> {
    let line = Line::new(window(workers));
    let feed = Mutex::new(Feed {
        next,
        sequence: 0,
        is_over: false,
    });
    std::thread::scope(|scope| {
        let _stop_whatever_happens = StopOnDrop(&line);
        let (line, feed, begin) = (&line, &feed, &begin);
        for number in 0..workers.max(1) {
            scope.spawn(move || {
                let mut work = None;
                while let Some((claim, batch)) = claim(line, feed) {
                    let result = match work.take().map_or_else(|| begin(number), Ok) {
                        Ok(ready) => work.insert(ready)(batch),
                        Err(error) => Err(error),
                    };
                    claim.deliver(result);
                }
            });
        }
        while let Some(result) = line.wait_for_next() {
            let is_over = result.is_err();
            take(result)?;
            if is_over {
                // It was told, and not put up with by an error of who took it.
                return Err(JobError::Broken);
            }
        }
        Ok(())
    })
}

struct Feed<N> {
    next: N,
    sequence: u64,
    is_over: bool,
}

/// The next batch and the place of its result; none when there is nothing to do any more.
fn claim<'l, B, R, N>(line: &'l Line<R>, feed: &Mutex<Feed<N>>) -> Option<(Claim<'l, R>, B)>
where
    N: FnMut() -> Result<Option<B>, JobError>,
{
    let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
    // The others would have to wait for the same room: they may as well wait for us.
    if feed.is_over || !line.wait_for_room(feed.sequence) {
        return None;
    }
    // Until it has its result, so also if `next` panics.
    feed.is_over = true;
    let claim = Claim {
        line,
        sequence: feed.sequence,
        is_delivered: false,
    };
    match (feed.next)() {
        Ok(Some(batch)) => {
            feed.sequence += 1;
            feed.is_over = false;
            Some((claim, batch))
        }
        Ok(None) => {
            claim.end();
            None
        }
        Err(error) => {
            claim.deliver(Err(error));
            None
        }
    }
}

struct Line<R> {
    window: u64,
    state: Mutex<State<R>>,
    has_arrived: Condvar,
    has_room: Condvar,
}

struct State<R> {
    arrived: BTreeMap<u64, Result<R, JobError>>,
    taken: u64,
    /// How many batches there are, once that is known.
    batches: Option<u64>,
    is_stopped: bool,
}

impl<R> Line<R> {
    fn new(window: usize) -> Self {
        Self {
            window: window as u64,
            state: Mutex::new(State {
                arrived: BTreeMap::new(),
                taken: 0,
                batches: None,
                is_stopped: false,
            }),
            has_arrived: Condvar::new(),
            has_room: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if nobody takes results any more.
    fn wait_for_room(&self, sequence: u64) -> bool {
        let is_full = |state: &mut State<R>| {
            !state.is_stopped && sequence.saturating_sub(state.taken) >= self.window
        };
        let waited = self.has_room.wait_while(self.lock(), is_full);
        !waited.unwrap_or_else(PoisonError::into_inner).is_stopped
    }

    /// None after the last.
    fn wait_for_next(&self) -> Option<Result<R, JobError>> {
        let is_missing = |state: &mut State<R>| {
            let is_last = state.batches.is_some_and(|batches| state.taken >= batches);
            !is_last && !state.arrived.contains_key(&state.taken)
        };
        let waited = self.has_arrived.wait_while(self.lock(), is_missing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let taken = state.taken;
        let result = state.arrived.remove(&taken)?;
        state.taken += 1;
        self.has_room.notify_all();
        Some(result)
    }
}

/// Lets the threads end if nobody takes results any more.
struct StopOnDrop<'l, R>(&'l Line<R>);

impl<R> Drop for StopOnDrop<'_, R> {
    fn drop(&mut self) {
        self.0.lock().is_stopped = true;
        self.0.has_room.notify_all();
    }
}

/// A place in the order. One that is dropped without a result gets an error: whoever had it panicked,
/// and the others must not wait for it.
struct Claim<'l, R> {
    line: &'l Line<R>,
    sequence: u64,
    is_delivered: bool,
}

impl<R> Claim<'_, R> {
    fn deliver(mut self, result: Result<R, JobError>) {
        self.put(result);
    }

    /// There is no such batch.
    fn end(mut self) {
        self.is_delivered = true;
        self.line.lock().batches = Some(self.sequence);
        self.line.has_arrived.notify_all();
    }

    fn put(&mut self, result: Result<R, JobError>) {
        self.is_delivered = true;
        self.line.lock().arrived.insert(self.sequence, result);
        self.line.has_arrived.notify_all();
    }
}

impl<R> Drop for Claim<'_, R> {
    fn drop(&mut self) {
        if !self.is_delivered {
            self.put(Err(JobError::Broken));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Work, run, window};
    use crate::transfer::error::JobError;

    const WORKERS: usize = 5;

    fn refused(why: u64) -> JobError {
        JobError::Refused(why.to_string())
    }

    fn numbers(end: u64) -> impl FnMut() -> Result<Option<u64>, JobError> {
        let mut numbers = 0..end;
        move || Ok(numbers.next())
    }

    /// Slower for some, so that results arrive out of order.
    fn busy(number: u64) {
        std::thread::sleep(std::time::Duration::from_micros(number * 7919 % 300));
    }

    #[test]
    fn results_come_in_the_order_of_the_batches_and_few_are_under_way() {
        let (under_way, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut numbers = numbers(500);
        let next = || {
            let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            numbers()
        };
        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> {
            Ok(Box::new(|number| {
                busy(number);
                Ok(number * 2)
            }))
        };
        let mut taken = Vec::new();
        run(WORKERS, next, begin, |result| {
            under_way.fetch_sub(1, Ordering::SeqCst);
            taken.push(result?);
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, (0..500).map(|n| n * 2).collect::<Vec<_>>());
        // What is taken now leaves its place a moment before it is counted.
        assert!(most.into_inner() <= window(WORKERS) as u64 + 1);
    }

    #[test]
    fn the_first_error_in_order_ends_the_work_and_all_before_it_is_taken() {
        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> {
            Ok(Box::new(|number| {
                busy(number);
                if number >= 40 {
                    Err(refused(number))
                } else {
                    Ok(number)
                }
            }))
        };
        let mut taken = 0;
        let result = run(WORKERS, numbers(1000), begin, |result| {
            result?;
            taken += 1;
            Ok(())
        });
        assert_eq!(result.unwrap_err().to_string(), "40");
        assert_eq!(taken, 40);
    }

    #[test]
    fn an_error_of_who_takes_ends_the_work() {
        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> { Ok(Box::new(Ok)) };
        let result = run(WORKERS, numbers(u64::MAX), begin, |result| match result? {
            100 => Err(refused(100)),
            _ => Ok(()),
        });
        assert_eq!(result.unwrap_err().to_string(), "100");
    }

    #[test]
    fn batches_that_cannot_be_had_and_threads_that_cannot_begin_are_errors() {
        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> { Ok(Box::new(Ok)) };
        let mut good = numbers(7);
        let next = || good().and_then(|n| n.map(Some).ok_or(refused(7)));
        let mut taken = 0;
        let result = run(WORKERS, next, begin, |result| result.map(|_| taken += 1));
        assert_eq!((result.unwrap_err().to_string(), taken), ("7".into(), 7));

        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> { Err(refused(0)) };
        let result = run(WORKERS, numbers(9), begin, |result| result.map(drop));
        assert_eq!(result.unwrap_err().to_string(), "0");
    }

    #[test]
    fn a_thread_that_panics_keeps_nobody_waiting() {
        let begin = |_| -> Result<Work<'_, u64, u64>, JobError> {
            Ok(Box::new(|number| {
                assert_ne!(number, 20, "on purpose");
                Ok(number)
            }))
        };
        let mut told = None;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(WORKERS, numbers(u64::MAX), begin, |result| match result {
                Err(error) => {
                    told = Some(error.to_string());
                    Err(error)
                }
                Ok(_) => Ok(()),
            })
        }));
        assert!(ended.is_err());
        assert_eq!(told, Some(JobError::Broken.to_string()));
    }
}
