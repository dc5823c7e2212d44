//! Who may do what: one rule an operation, in oslo.policy's language. Built-in rules, and over them
//! those of the operator's file, which is read again when it changes. A file that cannot be read or
//! understood later on leaves the rules as they were, and says so in the log.

mod cycles;
mod defaults;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use oslo_policy::{Request, RuleSet};
use services_foundation::error_chain::ErrorChain;
use services_keystone::TokenInfo;
use services_types::ProjectId;

use defaults::CONTEXT_IS_ADMIN;
pub use defaults::{DEFAULTS, DefaultRule};
pub use file::PolicyError;
use file::Stamp;

/// The rules in force.
pub struct Policy {
    file: Option<PathBuf>,
    current: RwLock<Loaded>,
}

struct Loaded {
    rules: Arc<RuleSet>,
    stamp: Option<Stamp>,
}

impl Policy {
    /// Reads the operator's file, which must be good at the start.
    pub fn load(file: Option<PathBuf>) -> Result<Self, PolicyError> {
        let stamp = file.as_deref().map(Stamp::of).transpose()?;
        let given = file
            .as_deref()
            .map(file::read)
            .transpose()?
            .unwrap_or_default();
        let rules = Arc::new(rule_set(given)?);
        Ok(Self {
            file,
            current: RwLock::new(Loaded { rules, stamp }),
        })
    }

    /// Whether the holder of a token may do `operation` on what belongs to `project_id`.
    pub fn allows(&self, operation: &str, who: &TokenInfo, project_id: &ProjectId) -> bool {
        let rules = self.rules();
        let target = Target(project_id);
        let plain = Subject {
            who,
            is_admin: false,
        };
        let is_admin = rules.evaluate(CONTEXT_IS_ADMIN, &Request::new(&plain).with_target(&target));
        let subject = Subject { who, is_admin };
        rules.evaluate(operation, &Request::new(&subject).with_target(&target))
    }

    /// Whether the holder of a token is an administrator of the cloud.
    pub fn is_admin(&self, who: &TokenInfo, project_id: &ProjectId) -> bool {
        self.allows(CONTEXT_IS_ADMIN, who, project_id)
    }

    fn rules(&self) -> Arc<RuleSet> {
        let Some(path) = &self.file else {
            return Arc::clone(&self.read_current().rules);
        };
        let stamp = Stamp::of(path).ok();
        {
            let current = self.read_current();
            if current.stamp == stamp {
                return Arc::clone(&current.rules);
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.stamp != stamp {
            current.stamp = stamp;
            match file::read(path).and_then(rule_set) {
                Ok(rules) => {
                    current.rules = Arc::new(rules);
                    tracing::info!(path = %path.display(), "Policy rules were read again");
                }
                Err(error) => tracing::warn!(
                    error = %ErrorChain(&error),
                    "The policy file changed and cannot be used; the rules stay as they were"
                ),
            }
        }
        Arc::clone(&current.rules)
    }

    fn read_current(&self) -> std::sync::RwLockReadGuard<'_, Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rule_set(given: BTreeMap<String, String>) -> Result<RuleSet, PolicyError> {
    let mut texts: BTreeMap<String, String> = DEFAULTS
        .iter()
        .map(|rule| (rule.operation.to_owned(), rule.check.to_owned()))
        .collect();
    texts.extend(given);
    cycles::refuse_cycles(&texts)?;
    let mut rules = RuleSet::new();
    for (name, text) in &texts {
        rules
            .add_rule(name, text)
            .map_err(|source| PolicyError::Rule {
                name: name.clone(),
                source,
            })?;
    }
    Ok(rules)
}

struct Subject<'a> {
    who: &'a TokenInfo,
    is_admin: bool,
}

impl oslo_policy::Token for Subject<'_> {
    fn has_role(&self, name: &str) -> bool {
        self.who.has_role(name)
    }

    fn get_api_attribute(&self, name: &str) -> Option<&str> {
        match name {
            "is_admin" => Some(if self.is_admin { "True" } else { "False" }),
            "user_id" => Some(&self.who.user_id),
            "project_id" | "tenant_id" => self.who.project_id.as_deref(),
            "is_admin_project" => Some(if self.who.is_admin_project {
                "True"
            } else {
                "False"
            }),
            _ => None,
        }
    }
}

struct Target<'a>(&'a ProjectId);

impl oslo_policy::Target for Target<'_> {
    fn get_attribute(&self, name: &str) -> Option<&str> {
        matches!(name, "project_id" | "tenant_id").then(|| self.0.as_str())
    }
}

#[cfg(test)]
mod tests;
