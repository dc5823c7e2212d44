//! Which calls fail, and how.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use fuser::Errno;

/// The calls of a file system, as far as a rule can name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Looking up names and attributes, listing folders, the size of the file system.
    Look,
    /// Opening a file that is there.
    Open,
    /// Making a file or a folder.
    Create,
    /// Reading bytes.
    Read,
    /// Writing bytes, or changing a file's length.
    Write,
    /// Making files or folders durable.
    Sync,
    /// Renaming.
    Rename,
    /// Removing a file or a folder.
    Remove,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It fails with this error.
    Fail(Errno),
    /// It is not answered before the rules are cleared.
    Hang,
}

/// A rule. The first that fits a call decides; a call that none fits is passed through.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Only such calls; none: all.
    pub call: Option<Call>,
    /// Only of paths that have this in them; empty: all.
    pub path_has: String,
    /// So many fitting calls pass first.
    pub after: u64,
    /// What happens to the others.
    pub effect: Effect,
}

impl Rule {
    /// Every call fails with `errno`.
    pub fn all(errno: Errno) -> Self {
        Self {
            call: None,
            path_has: String::new(),
            after: 0,
            effect: Effect::Fail(errno),
        }
    }

    /// Such calls fail with `errno` after `after` of them.
    pub fn of(call: Call, after: u64, errno: Errno) -> Self {
        Self {
            call: Some(call),
            after,
            ..Self::all(errno)
        }
    }

    /// Every call hangs.
    pub fn hang() -> Self {
        Self {
            effect: Effect::Hang,
            ..Self::all(Errno::EIO)
        }
    }
}

/// The rules of a mount.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    calls: u64,
    struck: u64,
    hanging: u64,
}

impl Faults {
    /// Replaces the rules.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        let mut state = self.lock();
        state.rules = rules.into_iter().collect();
        state.struck = 0;
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing fails any more; what hangs goes on.
    pub fn clear(&self) {
        self.set([]);
    }

    /// Calls so far, those that failed included.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Calls that a rule has made fail or hang since the rules were set.
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// Calls that hang now.
    pub fn hanging(&self) -> u64 {
        self.lock().hanging
    }

    pub(crate) fn check(&self, call: Call, path: &Path) -> Result<(), Errno> {
        let path = path.to_string_lossy();
        let mut state = self.lock();
        state.calls += 1;
        loop {
            let fits = |rule: &Rule| {
                rule.call.is_none_or(|only| only == call) && path.contains(&rule.path_has)
            };
            let Some(rule) = state.rules.iter_mut().find(|rule| fits(rule)) else {
                return Ok(());
            };
            if rule.after > 0 {
                rule.after -= 1;
                return Ok(());
            }
            let effect = rule.effect;
            state.struck += 1;
            match effect {
                Effect::Fail(errno) => return Err(errno),
                Effect::Hang => {
                    state.hanging += 1;
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                    state.hanging -= 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
