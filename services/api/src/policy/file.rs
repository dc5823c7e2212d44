//! The operator's policy file: YAML or JSON, a rule a line, in today's text form or in the older
//! list form (`[["role:a", "rule:b"], ["role:c"]]` is `(role:a and rule:b) or role:c`).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not there, or not ours to read.
    #[error("read the policy file {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Neither YAML nor JSON, or not names with rules.
    #[error("the policy file {path} is no list of rules")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        #[source]
        source: serde_yaml_ng::Error,
    },
    /// One rule is not in oslo.policy's language.
    #[error("policy rule {name}")]
    Rule {
        /// Which rule.
        name: String,
        /// Where in it.
        #[source]
        source: oslo_policy::ParseError,
    },
    /// A rule that needs itself has no answer.
    #[error("policy rule {name} refers to itself")]
    Cycle {
        /// Which rule.
        name: String,
    },
}

/// What changes when a file does, also when it is replaced by one of the same size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Result<Self, PolicyError> {
        let metadata = std::fs::metadata(path).map_err(|source| PolicyError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RuleText {
    Text(String),
    Alternatives(Vec<Alternative>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Alternative {
    One(String),
    All(Vec<String>),
}

/// Names and rules of a file, rules in the text form.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read {
        path: path.to_owned(),
        source,
    })?;
    // An empty file is no rules: that is how packages ship it.
    let rules: Option<BTreeMap<String, RuleText>> =
        serde_yaml_ng::from_str(&text).map_err(|source| PolicyError::Parse {
            path: path.to_owned(),
            source,
        })?;
    let rules = rules.unwrap_or_default().into_iter();
    Ok(rules.map(|(name, rule)| (name, rule.into_text())).collect())
}

impl RuleText {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) if text.trim().is_empty() => "@".to_owned(),
            Self::Text(text) => spaced(&text),
            Self::Alternatives(all) if all.is_empty() => "@".to_owned(),
            Self::Alternatives(all) => all
                .into_iter()
                .map(Alternative::into_text)
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

impl Alternative {
    fn into_text(self) -> String {
        match self {
            Self::One(check) => spaced(&check),
            Self::All(checks) if checks.is_empty() => "@".to_owned(),
            Self::All(checks) => {
                let checks: Vec<_> = checks.iter().map(|check| spaced(check)).collect();
                format!("( {} )", checks.join(" and "))
            }
        }
    }
}

/// Parentheses set apart, as oslo.policy reads them: opening at the front of a word, closing at its end.
fn spaced(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let inner = word.trim_start_matches('(');
        words.extend(std::iter::repeat_n("(", word.len() - inner.len()));
        let check = inner.trim_end_matches(')');
        if !check.is_empty() {
            words.push(check);
        }
        words.extend(std::iter::repeat_n(")", inner.len() - check.len()));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str) -> String {
        serde_yaml_ng::from_str::<RuleText>(json)
            .unwrap()
            .into_text()
    }

    #[test]
    fn every_form_of_a_rule_becomes_its_text() {
        for (given, text) in [
            (r#""rule:admin_api""#, "rule:admin_api"),
            (r#""""#, "@"),
            ("[]", "@"),
            (r#"[["role:x"]]"#, "( role:x )"),
            (
                r#"["role:x", ["role:y", "rule:z"]]"#,
                "role:x or ( role:y and rule:z )",
            ),
            (
                r#""(role:a and (role:b or not role:c)) or project_id:%(project_id)s""#,
                "( role:a and ( role:b or not role:c ) ) or project_id:%(project_id)s",
            ),
        ] {
            assert_eq!(text_of(given), text, "{given}");
        }
    }
}
