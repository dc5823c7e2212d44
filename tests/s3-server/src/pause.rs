//! A server that stops in the middle, so that its client can be killed between any two requests.

use std::sync::{Condvar, Mutex};

#[derive(Default)]
pub(crate) struct Pause {
    state: Mutex<Countdown>,
    has_ended: Condvar,
}

#[derive(Default)]
struct Countdown {
    /// Changes that are made; none: all.
    left: Option<u64>,
    is_felt: bool,
    /// Counts the pauses: who waits, waits for the end of this one.
    number: u64,
}

impl Pause {
    pub(crate) fn after(&self, changes: u64) {
        let mut state = self.state.lock().unwrap();
        state.left = Some(changes);
        state.is_felt = false;
    }

    pub(crate) fn is_felt(&self) -> bool {
        self.state.lock().unwrap().is_felt
    }

    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap();
        state.left = None;
        state.is_felt = false;
        state.number += 1;
        self.has_ended.notify_all();
    }

    /// Serves; or waits for the end of the pause, and does nothing.
    pub(crate) fn pass<T>(&self, changes_something: bool, serve: impl FnOnce() -> T) -> Option<T> {
        if !changes_something {
            return Some(serve());
        }
        let mut state = self.state.lock().unwrap();
        match &mut state.left {
            None => {
                drop(state);
                Some(serve())
            }
            // One at a time, so that it is exactly these.
            Some(left) if *left > 0 => {
                *left -= 1;
                Some(serve())
            }
            Some(_) => {
                state.is_felt = true;
                let number = state.number;
                let is_on = |state: &mut Countdown| state.number == number;
                drop(self.has_ended.wait_while(state, is_on).unwrap());
                None
            }
        }
    }
}
