//! Glance: images that everybody sees.

use serde_json::Value;

use super::server::{Call, Outcome, Reply};
use super::state::State;

pub(super) fn answer(state: &State, call: &Call) -> Outcome {
    let (method, path) = call.route();
    match (method, path.as_slice()) {
        ("GET", ["images"]) => {
            let all = state
                .images
                .iter()
                .map(|(_, item)| item.body.clone())
                .collect();
            Ok(state.page(call, "images", all))
        }
        ("GET", ["images", id]) => {
            let image = state.images.get(id).ok_or_else(not_found)?;
            Ok(Reply::ok(image.body.clone()))
        }
        _ => Err(not_found()),
    }
}

/// Glance's refusals are pages of HTML: no fault body to take words from.
fn not_found() -> Reply {
    Reply::new(
        404,
        Value::String("<html><title>404 Not Found</title></html>".to_owned()),
    )
}
