//! `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`, found where OpenStack's SDK finds them.

use std::env;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::error::LoginError;

const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The named cloud, with its secrets and what its vendor's profile adds.
pub(crate) fn cloud(name: &str) -> Result<Value, LoginError> {
    let mut cloud = member(read("clouds", "OS_CLIENT_CONFIG_FILE")?, "clouds", name)
        .ok_or_else(|| LoginError::UnknownCloud(name.to_owned()))?;
    if let Some(secrets) = member(read("secure", "OS_CLIENT_SECURE_FILE")?, "clouds", name) {
        merge(&mut cloud, secrets);
    }
    if let Some(profile) = cloud.get("profile").and_then(Value::as_str) {
        let public = read("clouds-public", "OS_CLIENT_VENDOR_FILE")?;
        if let Some(mut whole) = member(public, "public-clouds", profile) {
            merge(&mut whole, cloud);
            cloud = whole;
        }
    }
    Ok(cloud)
}

/// The file that the variable names, else the first one found; null where there is none.
fn read(stem: &str, variable: &str) -> Result<Value, LoginError> {
    let Some(path) = find(stem, variable) else {
        return Ok(Value::Null);
    };
    let failed = |source| LoginError::CloudsFile {
        path: path.clone(),
        source,
    };
    let text = std::fs::read_to_string(&path).map_err(|source| failed(Box::new(source)))?;
    serde_yaml_ng::from_str(&text).map_err(|source| failed(Box::new(source)))
}

fn find(stem: &str, variable: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    let config = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".config")));
    [
        Some(PathBuf::from(".")),
        config.map(|path| path.join("openstack")),
        Some("/etc/openstack".into()),
    ]
    .into_iter()
    .flatten()
    .flat_map(|folder| ENDINGS.map(|ending| folder.join(format!("{stem}.{ending}"))))
    .find(|path| path.is_file())
}

fn member(mut file: Value, group: &str, name: &str) -> Option<Value> {
    let found = file.get_mut(group)?.get_mut(name)?.take();
    found.is_object().then_some(found)
}

/// Lays `above` over `below`, object by object.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            let below: &mut Map<String, Value> = below;
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lies_above_wins_member_by_member() {
        let mut below = json!({"auth": {"username": "a", "password": "x"}, "region_name": "One"});
        merge(
            &mut below,
            json!({"auth": {"password": "y"}, "verify": false}),
        );
        assert_eq!(
            below,
            json!({"auth": {"username": "a", "password": "y"}, "region_name": "One",
                "verify": false})
        );
    }
}
