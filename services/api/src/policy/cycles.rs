//! A rule that refers to itself would be followed for ever, so such rules are refused when read.

use std::collections::{BTreeMap, BTreeSet};

use super::file::PolicyError;

pub(super) fn refuse_cycles(rules: &BTreeMap<String, String>) -> Result<(), PolicyError> {
    let mut settled = BTreeSet::new();
    for name in rules.keys() {
        visit(name, rules, &mut Vec::new(), &mut settled)?;
    }
    Ok(())
}

fn visit<'a>(
    name: &'a str,
    rules: &'a BTreeMap<String, String>,
    path: &mut Vec<&'a str>,
    settled: &mut BTreeSet<&'a str>,
) -> Result<(), PolicyError> {
    if path.contains(&name) {
        return Err(PolicyError::Cycle {
            name: name.to_owned(),
        });
    }
    if settled.contains(name) {
        return Ok(());
    }
    path.push(name);
    let text = rules.get(name).map_or("", String::as_str);
    for word in text.split_whitespace() {
        if let Some(referred) = word.strip_prefix("rule:") {
            visit(referred, rules, path, settled)?;
        }
    }
    path.pop();
    settled.insert(name);
    Ok(())
}
