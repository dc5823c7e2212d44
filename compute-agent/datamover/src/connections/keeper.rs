use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::Utc;

use super::entry::Phase;
use super::{Connections, KEPT, Shared};

const INTERVAL: Duration = Duration::from_secs(60);

impl Connections {
    /// From a thread of its own, for as long as the connections live.
    pub(crate) fn keep(&self) {
        let shared = Arc::downgrade(&self.0);
        std::thread::spawn(move || watch(&shared));
    }

    fn look_after(&self) {
        for known in self.all() {
            // Whoever holds it is about to close it.
            let Ok(mut entry) = known.0.try_lock() else {
                continue;
            };
            match entry.phase {
                Phase::Closing { .. } => {
                    if let Err(refusal) = self.disconnect(&mut entry) {
                        tracing::error!(connection = %entry.id, "cannot be closed: {refusal}");
                    }
                }
                Phase::Closed { at } if at < Utc::now() - KEPT => {
                    if let Err(refusal) = self.forget(&mut entry) {
                        tracing::warn!(connection = %entry.id, "{refusal}");
                    }
                }
                _ => {}
            }
        }
        self.lock().retain(|_, known| {
            // Somebody may be about to open it.
            let is_shared = Arc::strong_count(&known.0) > 1;
            is_shared || known.lock().phase != Phase::New
        });
    }
}

fn watch(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        Connections(shared).look_after();
        std::thread::sleep(INTERVAL);
    }
}
