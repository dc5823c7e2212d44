//! One INI file to `(section, key, value)`, in the order of the file.

use std::path::Path;

use ini::{Ini, ParseOption};

use super::ConfigError;

pub(super) struct Line {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// As oslo.config reads it: no quotes, no escapes, no comment after a value (a password may hold any
/// character), indented lines continue the value above.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Line>, ConfigError> {
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        enabled_indented_mutiline_value: true,
        ..ParseOption::default()
    };
    let syntax = |line, message| ConfigError::Syntax {
        path: path.to_owned(),
        line,
        message,
    };
    let ini = Ini::load_from_str_opt(text, options)
        .map_err(|error| syntax(error.line, error.msg.to_string()))?;
    let mut lines = Vec::new();
    for (section, properties) in ini.iter() {
        for (key, value) in properties.iter() {
            let section = section
                .ok_or_else(|| syntax(1, format!("key {key} stands before the first section")))?;
            lines.push(Line {
                section: section.trim().to_owned(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            });
        }
    }
    Ok(lines)
}
