//! Things, and how they become what was asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What happens to a thing after it has been looked at often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Become(&'static str),
    Vanish,
}

/// A thing as its service shows it, with its owner.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) project_id: String,
    pub(super) body: Value,
    pending: Option<(u32, Next)>,
}

impl Item {
    pub(super) fn new(project_id: &str, body: Value) -> Self {
        Self {
            project_id: project_id.to_owned(),
            body,
            pending: None,
        }
    }

    pub(super) fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    pub(super) fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.body[field] = value.into();
    }

    pub(super) fn is_vanishing(&self) -> bool {
        self.pending.is_some_and(|(_, next)| next == Next::Vanish)
    }

    pub(super) fn after_looks(&mut self, looks: u32, next: Next) {
        self.pending = Some((looks, next));
    }
}

/// Things of one kind, by id.
#[derive(Default)]
pub(super) struct Items(BTreeMap<String, Item>);

impl Items {
    pub(super) fn add(&mut self, id: &str, item: Item) {
        self.0.insert(id.to_owned(), item);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Item> {
        self.0.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.0.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Item> {
        self.0.remove(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Item)> {
        self.0.iter()
    }

    pub(super) fn ids_of(&self, project_id: &str) -> Vec<String> {
        let of_project = self
            .0
            .iter()
            .filter(|(_, item)| item.project_id == project_id);
        of_project.map(|(id, _)| id.clone()).collect()
    }

    /// Somebody looks at a thing; answers with what has just come to pass by it.
    pub(super) fn look(&mut self, id: &str) -> Option<Next> {
        let item = self.0.get_mut(id)?;
        let (looks, next) = item.pending?;
        if looks > 0 {
            item.pending = Some((looks - 1, next));
            return None;
        }
        item.pending = None;
        match next {
            Next::Become(status) => item.body["status"] = json!(status),
            Next::Vanish => {
                self.0.remove(id);
            }
        }
        Some(next)
    }
}
