//! Configuration as OpenStack's operators write it: INI files, several of which may be given, and
//! environment variables over them.
//!
//! A value is looked for in the variable `BACKSTAY_<SECTION>__<KEY>` (capitals, every other character
//! an underscore: `[target:nfs-1] path` is `BACKSTAY_TARGET_NFS_1__PATH`), then in the last file that
//! has it. An empty value counts as not set. What nobody asked for is named by
//! [`Config::warn_about_unknown`], which a program calls when it has read all it wants.

mod error;
mod parse;

pub use error::ConfigError;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;

const PREFIX: &str = "BACKSTAY_";

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    section: String,
    key: String,
}

struct Value {
    text: String,
    origin: String,
}

/// All values of a program's configuration.
pub struct Config {
    values: BTreeMap<Name, Value>,
    variables: BTreeMap<String, String>,
    files: Vec<PathBuf>,
    asked: Mutex<BTreeSet<Name>>,
}

impl Config {
    /// Reads the files in this order, a later one over an earlier, and this process's environment.
    pub fn load(files: &[PathBuf]) -> Result<Self, ConfigError> {
        // A variable that is not UTF-8 is none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        let mut texts = Vec::new();
        for path in files {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?;
            texts.push((path.clone(), text));
        }
        Self::from_texts(texts, environment)
    }

    /// The same from texts at hand: for tests, and for programs that are configured by another.
    pub fn from_texts(
        texts: impl IntoIterator<Item = (PathBuf, String)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        let mut files = Vec::new();
        for (path, text) in texts {
            for line in parse::parse(&path, &text)? {
                let name = Name {
                    section: line.section,
                    key: line.key,
                };
                let origin = path.display().to_string();
                values.insert(
                    name,
                    Value {
                        text: line.value,
                        origin,
                    },
                );
            }
            files.push(path);
        }
        let variables = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && name.contains("__"))
            .collect();
        Ok(Self {
            values,
            variables,
            files,
            asked: Mutex::default(),
        })
    }

    /// The value, if it is set.
    pub fn get<T>(&self, section: &str, key: &str) -> Result<Option<T>, ConfigError>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>,
    {
        self.parsed(section, key, |text| text.parse::<T>().map_err(Into::into))
    }

    /// The value, or what holds when it is not set.
    pub fn get_or<T>(&self, section: &str, key: &str, default: T) -> Result<T, ConfigError>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>,
    {
        Ok(self.get(section, key)?.unwrap_or(default))
    }

    /// The value, which must be set.
    pub fn require<T>(&self, section: &str, key: &str) -> Result<T, ConfigError>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>,
    {
        self.get(section, key)?
            .ok_or_else(|| self.missing(section, key))
    }

    /// Yes or no, in any of the words that oslo.config takes.
    pub fn flag(&self, section: &str, key: &str, default: bool) -> Result<bool, ConfigError> {
        let parsed = self.parsed(section, key, |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err("neither true nor false".into()),
            }
        })?;
        Ok(parsed.unwrap_or(default))
    }

    /// Values separated by commas or lines; none if it is not set.
    pub fn list<T>(&self, section: &str, key: &str) -> Result<Vec<T>, ConfigError>
    where
        T: FromStr,
        T::Err: Into<Box<dyn Error + Send + Sync>>,
    {
        let parsed = self.parsed(section, key, |text| {
            text.split([',', '\n'])
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| item.parse::<T>().map_err(Into::into))
                .collect()
        })?;
        Ok(parsed.unwrap_or_default())
    }

    /// A value that no log and no debug print may show.
    pub fn secret(&self, section: &str, key: &str) -> Result<Option<SecretString>, ConfigError> {
        self.parsed(section, key, |text| Ok(SecretString::from(text.to_owned())))
    }

    /// The same, which must be set.
    pub fn require_secret(&self, section: &str, key: &str) -> Result<SecretString, ConfigError> {
        self.secret(section, key)?
            .ok_or_else(|| self.missing(section, key))
    }

    /// What stands after `prefix` in the names of sections, as `nfs1` for `[target:nfs1]` and
    /// `target:`. Sections must stand in a file: a variable's name does not tell the id.
    pub fn sections_named(&self, prefix: &str) -> Vec<String> {
        let names = self
            .values
            .keys()
            .filter_map(|name| name.section.strip_prefix(prefix));
        names
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// An error about a value that only its user can find wrong: unknown host, folder not there.
    pub fn invalid(
        &self,
        section: &str,
        key: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> ConfigError {
        let origin = match self.lookup(section, key) {
            Some((_, origin)) => origin,
            None => self.looked_in(section, key),
        };
        ConfigError::Invalid {
            origin,
            section: section.to_owned(),
            key: key.to_owned(),
            source: source.into(),
        }
    }

    /// Values that are set and that this program has not asked for so far: mostly a slip of the pen.
    pub fn unknown(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known: BTreeSet<String> = asked.iter().map(|n| variable(&n.section, &n.key)).collect();
        let lines = self
            .values
            .iter()
            .filter(|(name, _)| !asked.contains(*name));
        let lines = lines.map(|(n, value)| format!("{}: [{}] {}", value.origin, n.section, n.key));
        let variables = self
            .variables
            .keys()
            .filter(|name| !known.contains(*name))
            .cloned();
        lines.chain(variables).collect()
    }

    /// One warning for each of [`Config::unknown`] that the sample does not have either: programs that
    /// share a file leave each other's settings alone. In `sample` a key may stand behind a `#`; what it has
    /// for `[name]` holds for `[name:id]` as well.
    pub fn warn_about_unknown(&self, sample: &str) {
        for name in self.strange(sample) {
            tracing::warn!("{name} is not a setting of this program and is ignored");
        }
    }

    fn strange(&self, sample: &str) -> Vec<String> {
        let documented = documented(sample);
        let is_documented = |line: &String| {
            documented
                .iter()
                .any(|(name, variable)| line == variable || line.ends_with(name))
        };
        let is_documented = |line: &String| is_documented(line) || is_documented(&plain(line));
        self.unknown()
            .into_iter()
            .filter(|line| !is_documented(line))
            .collect()
    }

    fn parsed<T>(
        &self,
        section: &str,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Box<dyn Error + Send + Sync>>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, origin)) = self.lookup(section, key) else {
            return Ok(None);
        };
        match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(source) => Err(ConfigError::Invalid {
                origin,
                section: section.to_owned(),
                key: key.to_owned(),
                source,
            }),
        }
    }

    fn lookup(&self, section: &str, key: &str) -> Option<(String, String)> {
        let name = Name {
            section: section.to_owned(),
            key: key.to_owned(),
        };
        let variable = variable(section, key);
        let found = match self.variables.get(&variable) {
            Some(text) => Some((text.trim().to_owned(), variable)),
            None => self
                .values
                .get(&name)
                .map(|v| (v.text.clone(), v.origin.clone())),
        };
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
        found.filter(|(text, _)| !text.is_empty())
    }

    fn missing(&self, section: &str, key: &str) -> ConfigError {
        ConfigError::Missing {
            section: section.to_owned(),
            key: key.to_owned(),
            looked_in: self.looked_in(section, key),
        }
    }

    fn looked_in(&self, section: &str, key: &str) -> String {
        let files = self.files.iter().map(|path: &PathBuf| display(path));
        files
            .chain([variable(section, key)])
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// The keys of a sample file, as [`Config::unknown`] writes them: `: [section] key` and the variable.
fn documented(sample: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut names = Vec::new();
    for line in sample.lines() {
        let line = line.trim().trim_start_matches('#').trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once('=') {
            let key = key.trim();
            names.push((format!(": [{section}] {key}"), variable(&section, key)));
        }
    }
    names
}

/// `file: [name:id] key` as `file: [name] key`.
fn plain(line: &str) -> String {
    let of_section = line
        .rsplit_once(": [")
        .and_then(|(origin, rest)| Some((origin, rest.split_once(']')?)));
    match of_section {
        Some((origin, (section, key))) => {
            let name = section.split(':').next().unwrap_or(section);
            format!("{origin}: [{name}]{key}")
        }
        None => line.to_owned(),
    }
}

fn variable(section: &str, key: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let section: String = section.chars().map(plain).collect();
    let key: String = key.chars().map(plain).collect();
    format!("{PREFIX}{section}__{key}")
}

#[cfg(test)]
mod tests;
