use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::Utc;
use services_foundation::error_chain::ErrorChain;

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
                Phase::Closing { is_forgotten } => match self.disconnect(&mut entry) {
                    Ok(()) if is_forgotten => {
                        self.lock().remove(&entry.id);
                    }
                    Ok(()) => {}
                    Err(refusal) => {
                        tracing::error!(connection = %entry.id, "cannot be closed: {refusal}");
                    }
                },
                Phase::Closed { at } if at < Utc::now() - KEPT => {
                    match self.0.journal.remove(entry.id.0) {
                        Ok(()) => {
                            self.lock().remove(&entry.id);
                        }
                        Err(error) => tracing::warn!("{}", ErrorChain(&error)),
                    }
                }
                _ => {}
            }
        }
    }
}

fn watch(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        Connections(shared).look_after();
        std::thread::sleep(INTERVAL);
    }
}
