//! Commands about snapshots.

pub(super) mod cancel;
pub(super) mod delete;
pub(super) mod list;
pub(super) mod oneclick_restore;
pub(super) mod show;

pub(super) mod parts;

use serde_json::{Map, Value};

use crate::wait::Hints;

/// For whoever stops waiting for a snapshot.
pub(super) const HINTS: Hints = Hints {
    look: "snapshot-show",
    cancel: Some("snapshot-cancel"),
};

/// For whoever stops waiting for a deletion: it cannot be cancelled.
const DELETE_HINTS: Hints = Hints {
    look: "snapshot-show",
    cancel: None,
};

/// What people want to know of each member; the rest of it would make a table of a thousand columns.
const BRIEF: [&str; 3] = ["id", "name", "status"];

/// The object with its members cut down to the essential.
pub(super) fn brief(mut object: Value) -> Value {
    if let Some(Value::Array(instances)) = object.get_mut("instances") {
        for instance in instances {
            let members = BRIEF.iter().filter_map(|key| {
                instance
                    .get(key)
                    .map(|value| ((*key).to_owned(), value.clone()))
            });
            *instance = Value::Object(members.collect::<Map<_, _>>());
        }
    }
    object
}
