//! Which records of changes stand on a server's disks: they would pile up in the files, and each slows
//! the guest's writes down.

use serde::{Deserialize, Serialize};

use super::entry::Mark;

/// Of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Of the newest point that was ended with its marks kept.
    pub(crate) current: Vec<Mark>,
    /// To be removed when the guest lets us. A new mark is here until its point is kept.
    pub(crate) obsolete: Vec<Mark>,
}

impl Ledger {
    pub(super) fn begin(&mut self, marks: impl IntoIterator<Item = Mark>) {
        for mark in marks {
            if !self.obsolete.contains(&mark) {
                self.obsolete.push(mark);
            }
        }
    }

    /// Of a guest that came from another host, which knew of its marks.
    pub(super) fn adopt(&mut self, marks: impl IntoIterator<Item = Mark>) {
        for mark in marks {
            if !self.current.contains(&mark) && !self.obsolete.contains(&mark) {
                self.current.push(mark);
            }
        }
    }

    pub(super) fn keep(&mut self, kept: &[Mark]) {
        let earlier = std::mem::replace(&mut self.current, kept.to_vec());
        self.begin(earlier);
        self.obsolete.retain(|mark| !kept.contains(mark));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty() && self.obsolete.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Mark};

    fn marks(names: &[&str]) -> Vec<Mark> {
        let mark = |name: &&str| Mark {
            device: "vda".into(),
            name: (*name).into(),
        };
        names.iter().map(mark).collect()
    }

    #[test]
    fn a_kept_mark_replaces_the_earlier_and_a_dropped_one_is_to_be_removed() {
        let mut ledger = Ledger::default();
        ledger.begin(marks(&["one"]));
        ledger.keep(&marks(&["one"]));
        ledger.begin(marks(&["two"]));
        ledger.begin(marks(&["two"]));
        let (one, two) = (marks(&["one"]), marks(&["two"]));
        assert_eq!(
            (ledger.current.clone(), ledger.obsolete.clone()),
            (one.clone(), two)
        );
        ledger.begin(marks(&["three"]));
        ledger.keep(&marks(&["three"]));
        assert_eq!(
            (ledger.current.clone(), ledger.obsolete.clone()),
            (marks(&["three"]), marks(&["two", "one"]))
        );
        // Of a guest that was stopped: nothing was written, the mark stays.
        ledger.keep(&marks(&["three"]));
        assert_eq!(ledger.current, marks(&["three"]));
        // Of a guest that came with its marks.
        let mut ledger = Ledger::default();
        ledger.adopt(one.clone());
        ledger.begin(marks(&["two"]));
        ledger.adopt(marks(&["two"]));
        ledger.keep(&marks(&["two"]));
        assert_eq!((ledger.current, ledger.obsolete), (marks(&["two"]), one));
    }
}
