//! The targets of this host's configuration, and whether they can be written to now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent_format::ObjectName;
use agent_target::Target;
use agent_target_s3::SettingsError;
use services_foundation::error_chain::ErrorChain;

use crate::settings::TargetSettings;

const CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// A check that takes longer hangs in a dead mount.
const CHECK_LIMIT: Duration = Duration::from_secs(60);

/// Targets by id.
#[derive(Clone)]
pub(crate) struct Targets(Arc<BTreeMap<String, Known>>);

struct Known {
    target: Arc<dyn Target>,
    writable_at: Mutex<Option<Instant>>,
}

impl Targets {
    pub(crate) fn new(settings: &[TargetSettings]) -> Result<Self, SettingsError> {
        let opened = settings
            .iter()
            .map(|target| Ok((target.id.clone(), target.place.open()?)));
        Ok(Self::of(opened.collect::<Result<Vec<_>, _>>()?))
    }

    pub(crate) fn of(targets: impl IntoIterator<Item = (String, Arc<dyn Target>)>) -> Self {
        let known = |target| Known {
            target,
            writable_at: Mutex::default(),
        };
        Self(Arc::new(
            targets
                .into_iter()
                .map(|(id, target)| (id, known(target)))
                .collect(),
        ))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<dyn Target>> {
        self.0.get(id).map(|known| known.target.clone())
    }

    /// Ids of those that could be written to when they were last looked at.
    pub(crate) fn writable(&self) -> Vec<String> {
        let is_writable = |known: &Known| {
            let at = *known
                .writable_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            at.is_some_and(|at| at.elapsed() < CHECK_LIMIT)
        };
        let writable = self.0.iter().filter(|(_, known)| is_writable(known));
        writable.map(|(id, _)| id.clone()).collect()
    }

    /// Looks at each target from time to time, for as long as the program runs; each from a thread of
    /// its own, since a call to a dead mount may never return.
    pub(crate) fn watch(&self) {
        for id in self.0.keys() {
            let (targets, id) = (self.clone(), id.clone());
            std::thread::spawn(move || {
                let mut was_writable = None;
                loop {
                    targets.look_at(&id, &mut was_writable);
                    std::thread::sleep(CHECK_INTERVAL);
                }
            });
        }
    }

    fn look_at(&self, id: &str, was_writable: &mut Option<bool>) {
        let Some(known) = self.0.get(id) else {
            return;
        };
        let checked = known.target.check_writable();
        let is_new = was_writable.replace(checked.is_ok()) != Some(checked.is_ok());
        match &checked {
            Ok(()) if is_new => tracing::info!(target_id = id, "the target can be written to"),
            Err(error) if is_new => {
                tracing::warn!(target_id = id, "no backups to it: {}", ErrorChain(error));
            }
            _ => {}
        }
        *known
            .writable_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = checked.is_ok().then(Instant::now);
    }
}

/// The name, or why it cannot be one.
pub(crate) fn object_name(name: &str) -> Result<ObjectName, String> {
    ObjectName::new(name).map_err(|error| error.to_string())
}
