//! Everything the cloud knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::controls::{Effect, Fault};
use super::item::{Item, Items};
use super::server::{Call, Reply};

pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) password: String,
}

pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) user_id: String,
    pub(super) project_id: String,
    pub(super) roles: Vec<String>,
    pub(super) trust_id: Option<String>,
    pub(super) expires_at: DateTime<Utc>,
}

#[derive(Clone)]
pub(super) struct Trust {
    pub(super) trustor_user_id: String,
    pub(super) trustee_user_id: String,
    pub(super) project_id: String,
    pub(super) roles: Vec<String>,
}

/// Who makes a request.
pub(super) struct Who {
    pub(super) user_id: String,
    pub(super) project_id: String,
    pub(super) is_admin: bool,
}

/// The same for every project.
#[derive(Clone, Copy)]
pub(super) struct Quotas {
    pub(super) volumes: usize,
    pub(super) gigabytes: u64,
    pub(super) snapshots: usize,
    pub(super) instances: usize,
    pub(super) ports: usize,
}

pub(super) struct State {
    pub(super) address: SocketAddr,
    pub(super) folder: TempDir,
    pub(super) users: Vec<User>,
    pub(super) projects: Vec<Project>,
    /// Roles, by user and project.
    pub(super) grants: BTreeMap<(String, String), Vec<String>>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) trusts: BTreeMap<String, Trust>,
    pub(super) servers: Items,
    pub(super) flavors: Items,
    /// By user and name.
    pub(super) key_pairs: BTreeMap<(String, String), Value>,
    pub(super) volumes: Items,
    pub(super) snapshots: Items,
    pub(super) attachments: Items,
    pub(super) images: Items,
    pub(super) networks: Items,
    pub(super) subnets: Items,
    pub(super) routers: Items,
    pub(super) ports: Items,
    pub(super) groups: Items,
    pub(super) floating_ips: Items,
    pub(super) quotas: Quotas,
    /// Looks until something that takes time has happened.
    pub(super) looks: u32,
    pub(super) page_size: usize,
    pub(super) token_lifetime: TimeDelta,
    /// The compute host that all servers run on.
    pub(super) host_name: String,
    /// Services that are not the cloud's own: type and URL.
    pub(super) other_endpoints: BTreeMap<String, String>,
    /// Whose the files of volumes are, if not this process's.
    pub(super) file_owner: Option<u32>,
    /// What Nova will say of the next server, instead of building it.
    pub(super) next_build_fault: Option<String>,
    pub(super) faults: Vec<Fault>,
    /// Method and path of every request.
    pub(super) requests: Vec<(String, String)>,
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// As Keystone writes ids.
pub(super) fn new_hex_id() -> String {
    Uuid::new_v4().simple().to_string()
}

impl State {
    pub(super) fn new(address: SocketAddr, folder: TempDir) -> Self {
        let mut state = Self {
            address,
            folder,
            users: Vec::new(),
            projects: Vec::new(),
            grants: BTreeMap::new(),
            tokens: BTreeMap::new(),
            trusts: BTreeMap::new(),
            servers: Items::default(),
            flavors: Items::default(),
            key_pairs: BTreeMap::new(),
            volumes: Items::default(),
            snapshots: Items::default(),
            attachments: Items::default(),
            images: Items::default(),
            networks: Items::default(),
            subnets: Items::default(),
            routers: Items::default(),
            ports: Items::default(),
            groups: Items::default(),
            floating_ips: Items::default(),
            quotas: Quotas {
                volumes: 100,
                gigabytes: 1000,
                snapshots: 100,
                instances: 10,
                ports: 100,
            },
            looks: 1,
            page_size: 1000,
            token_lifetime: TimeDelta::hours(1),
            host_name: "fake-compute".to_owned(),
            other_endpoints: BTreeMap::new(),
            file_owner: None,
            next_build_fault: None,
            faults: Vec::new(),
            requests: Vec::new(),
        };
        state.furnish();
        state
    }

    /// What a small site has.
    fn furnish(&mut self) {
        let service = self.add_project("service");
        let demo = self.add_project("demo");
        let other = self.add_project("other");
        self.add_user("backstay", &service, &["admin", "service"]);
        self.add_user("demo", &demo, &["member", "creator", "reader"]);
        self.add_user("other", &other, &["member", "creator", "reader"]);
        for (name, ram, disk, ephemeral, swap) in [
            ("fake.tiny", 128, 1, 0, 0),
            ("fake.small", 512, 2, 0, 0),
            ("fake.local", 128, 1, 1, 1024),
        ] {
            let id = new_id();
            let flavor = json!({
                "id": id, "name": name, "vcpus": 1, "ram": ram, "disk": disk, "swap": swap,
                "OS-FLV-EXT-DATA:ephemeral": ephemeral, "os-flavor-access:is_public": true, "extra_specs": {},
            });
            self.flavors.add(&id, Item::new("", flavor));
        }
        let image = new_id();
        self.images.add(
            &image,
            Item::new(
                "",
                json!({
                    "id": image, "name": "fake-image", "status": "active", "visibility": "public",
                    "min_disk": 0, "hw_qemu_guest_agent": "yes", "owner_specified.md5": "none",
                }),
            ),
        );
        super::neutron::furnish(self, &service, &demo);
    }

    pub(super) fn add_project(&mut self, name: &str) -> String {
        let id = new_hex_id();
        self.projects.push(Project {
            id: id.clone(),
            name: name.to_owned(),
        });
        super::groups::add_default(self, &id);
        id
    }

    /// The password is the name followed by `-password`.
    pub(super) fn add_user(&mut self, name: &str, project_id: &str, roles: &[&str]) {
        let id = new_hex_id();
        self.users.push(User {
            id: id.clone(),
            name: name.to_owned(),
            password: format!("{name}-password"),
        });
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.grants.insert((id, project_id.to_owned()), roles);
    }

    pub(super) fn who(&self, token: Option<&str>) -> Option<Who> {
        let token = self.good_token(token?)?;
        Some(Who {
            user_id: token.user_id.clone(),
            project_id: token.project_id.clone(),
            is_admin: token.roles.iter().any(|role| role == "admin"),
        })
    }

    /// A token that has not ended, and whose trust, if it comes from one, still stands.
    pub(super) fn good_token(&self, token: &str) -> Option<&Token> {
        let token = self.tokens.get(token)?;
        let has_trust = token
            .trust_id
            .as_ref()
            .is_none_or(|id| self.trusts.contains_key(id));
        (token.expires_at > Utc::now() && has_trust).then_some(token)
    }

    /// Notes a request; what is to go wrong with it, if anything.
    pub(super) fn effect_on(&mut self, method: &str, path: &str) -> Option<Effect> {
        self.requests.push((method.to_owned(), path.to_owned()));
        let struck = |fault: &mut Fault| fault.strikes(method, path).then_some(fault.effect);
        self.faults.iter_mut().find_map(struck)
    }

    /// One page of a list, with a link to the next.
    pub(super) fn page(&self, call: &Call, key: &str, all: Vec<Value>) -> Reply {
        let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
        let begin = match call.param("marker") {
            Some(marker) => all
                .iter()
                .position(|item| id(item) == marker)
                .map_or(all.len(), |at| at + 1),
            None => 0,
        };
        let page: Vec<Value> = all
            .iter()
            .skip(begin)
            .take(self.page_size)
            .cloned()
            .collect();
        let mut body = json!({ key: page });
        if let (true, Some(last)) = (begin + self.page_size < all.len(), page.last()) {
            // As behind a proxy that rewrites nothing: a host that only the service knows.
            let href = format!(
                "http://service.internal/{}?marker={}",
                call.segments.join("/"),
                id(last)
            );
            body[format!("{key}_links")] = json!([{ "rel": "next", "href": href }]);
        }
        Reply::ok(body)
    }
}
