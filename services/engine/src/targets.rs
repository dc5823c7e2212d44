//! The backup targets that the engine writes JSON to, by the ids under which every host knows them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use agent_target::Target;

/// At least one; the first is where a backup goes unless there is a reason for another.
#[derive(Clone)]
pub struct Targets {
    default: String,
    all: BTreeMap<String, Arc<dyn Target>>,
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

impl Targets {
    /// One target.
    pub fn new(id: impl Into<String>, target: Arc<dyn Target>) -> Self {
        let default = id.into();
        Self {
            all: BTreeMap::from([(default.clone(), target)]),
            default,
        }
    }

    /// With one more.
    #[must_use]
    pub fn and(mut self, id: impl Into<String>, target: Arc<dyn Target>) -> Self {
        self.all.insert(id.into(), target);
        self
    }

    /// The first one.
    pub fn default_id(&self) -> &str {
        &self.default
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<dyn Target>> {
        self.all.get(id)
    }

    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }
}
