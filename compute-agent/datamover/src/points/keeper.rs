//! Ends what nobody ended: points whose time is over, and those of running guests when the host runs
//! out of room for what they overwrite. A guest must never suffer for its backup.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use services_foundation::error_chain::ErrorChain;

use super::entry::{Entry, Phase};
use super::live::free_bytes;
use super::{Points, Shared};

/// A fast guest writes some gigabytes in this time; the setting must leave room for it.
const TICK: Duration = Duration::from_secs(2);
/// What could not be ended is tried again so often.
const TICKS_BETWEEN_TRIES: u32 = 30;
/// Whether servers still exist is asked so often, and when the program starts.
const TICKS_BETWEEN_LOOKS: u32 = 1800;

impl Points {
    /// From a thread of its own, for as long as the points live.
    pub(crate) fn keep(&self) {
        let shared = Arc::downgrade(&self.0);
        std::thread::spawn(move || watch(&shared));
    }

    fn tick(&self, is_try: bool) {
        let is_short = self.is_short_of_room();
        for known in self.all() {
            // Whoever holds it is about to end it, or has just begun.
            let Ok(mut entry) = known.entry.try_lock() else {
                continue;
            };
            let ended = match &entry.phase {
                Phase::Taken { .. } if is_short && entry.parts.job.is_some() => {
                    tracing::error!(point = %entry.id, "no room for what guests overwrite");
                    self.end_entry(&mut entry, false, "the host had no room for it")
                }
                Phase::Taken { .. } if self.is_over(&entry) => {
                    tracing::warn!(point = %entry.id, "was ended by nobody");
                    self.end_entry(&mut entry, false, "its time was over")
                }
                Phase::Ending { .. } if is_try => self.end_entry(&mut entry, false, ""),
                _ => Ok(()),
            };
            if let Err(refusal) = ended {
                tracing::error!(point = %entry.id, "cannot be ended: {refusal}");
            }
        }
        if is_try && let Err(error) = self.prune() {
            tracing::warn!("{}", ErrorChain(&error));
        }
    }

    fn is_over(&self, entry: &Entry) -> bool {
        let longest = TimeDelta::from_std(self.0.settings.expiry).unwrap_or(TimeDelta::MAX);
        Utc::now().signed_duration_since(entry.began_at) > longest
    }

    /// Less than half is left of what there must be at the beginning.
    fn is_short_of_room(&self) -> bool {
        let least = self.0.settings.scratch_min_free_bytes / 2;
        // A folder that is not there yet holds nothing.
        free_bytes(&self.0.settings.path).is_ok_and(|free| free < least)
    }
}

fn watch(shared: &Weak<Shared>) {
    let mut ticks: u32 = 0;
    let mut look: Option<JoinHandle<()>> = None;
    while let Some(shared) = shared.upgrade() {
        let points = Points(shared);
        points.tick(ticks.is_multiple_of(TICKS_BETWEEN_TRIES));
        let is_looking = look.as_ref().is_some_and(|look| !look.is_finished());
        if ticks.is_multiple_of(TICKS_BETWEEN_LOOKS) && !is_looking {
            // libvirt may take its time; room on the host is to be watched meanwhile.
            look = Some(std::thread::spawn(move || points.forget_deleted()));
        }
        ticks = ticks.wrapping_add(1);
        std::thread::sleep(TICK);
    }
}
