use std::collections::{HashSet, VecDeque};

/// More than a host can have unanswered: the broker repeats only what was not acknowledged.
const REMEMBERED: usize = 1024;

/// Ids of the messages of late, to drop what the broker delivers twice.
#[derive(Default)]
pub(super) struct Seen {
    order: VecDeque<String>,
    ids: HashSet<String>,
}

impl Seen {
    /// True the first time this id comes.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Seen};

    #[test]
    fn an_id_is_new_once_and_the_memory_is_bounded() {
        let mut seen = Seen::default();
        assert!(seen.is_new("a"));
        assert!(!seen.is_new("a"));
        for i in 0..REMEMBERED {
            assert!(seen.is_new(&i.to_string()));
        }
        assert_eq!(seen.ids.len(), REMEMBERED);
        assert!(seen.is_new("a"));
    }
}
