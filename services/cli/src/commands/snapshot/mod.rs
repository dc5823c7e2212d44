//! Commands about snapshots.

pub(super) mod cancel;
pub(super) mod delete;
pub(super) mod list;
pub(super) mod oneclick_restore;
pub(super) mod show;
pub(super) mod verify;

pub(super) mod parts;

use serde_json::{Map, Value};

use crate::wait::Hints;

/// For whoever stops waiting for a snapshot.
pub(super) const HINTS: Hints = Hints {
    look: "snapshot-show",
    cancel: Some("snapshot-cancel"),
};

/// For whoever stops waiting for a deletion or a verification: they cannot be cancelled.
const DELETE_HINTS: Hints = Hints {
    look: "snapshot-show",
    cancel: None,
};

/// What people want to know of a part; the rest of it would make a table of a thousand columns.
const BRIEF: [&str; 3] = ["id", "name", "status"];

/// The object with its members, and the snapshot that it tells of, cut down to the essential.
pub(super) fn brief(mut object: Value) -> Value {
    if let Some(Value::Array(instances)) = object.get_mut("instances") {
        instances.iter_mut().for_each(cut);
    }
    if let Some(snapshot @ Value::Object(_)) = object.get_mut("snapshot_details") {
        cut(snapshot);
    }
    object
}

fn cut(part: &mut Value) {
    let members = BRIEF
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), part.get(key)?.clone())));
    *part = Value::Object(members.collect::<Map<_, _>>());
}
