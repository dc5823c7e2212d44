//! The lab of tests/live/lab, or another cloud set up like it.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;
use services_keystone::{Interface, KeystoneSettings};

use crate::site::Site;

pub(crate) fn site() -> Site {
    let path = std::env::var("OS_CLIENT_CONFIG_FILE")
        .unwrap_or_else(|_| "/etc/openstack/clouds.yaml".to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let file: BTreeMap<String, BTreeMap<String, Value>> = serde_yaml_ng::from_str(&text).unwrap();
    let settings = |cloud: &str| settings(&file["clouds"][cloud]);
    Site {
        service: settings("lab-admin"),
        tenant: settings("lab-demo"),
        stranger: settings("lab-other"),
        network: "private".to_owned(),
        external_network: "ext".to_owned(),
        image: "lab-guest".to_owned(),
        flavor: "lab.tiny".to_owned(),
        multiattach_type: "ceph-multi".to_owned(),
        has_config_drives: false,
        has_rbd: true,
        keeper: None,
    }
}

fn settings(cloud: &Value) -> KeystoneSettings {
    let auth = |name: &str| cloud["auth"][name].as_str().unwrap().to_owned();
    KeystoneSettings {
        auth_url: auth("auth_url").parse().unwrap(),
        username: auth("username"),
        password: SecretString::from(auth("password")),
        user_domain_name: auth("user_domain_name"),
        project_name: auth("project_name"),
        project_domain_name: auth("project_domain_name"),
        region_name: cloud["region_name"].as_str().map(str::to_owned),
        interface: Interface::Public,
        cafile: None,
        insecure: false,
    }
}
