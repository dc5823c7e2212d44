//! What a test may do to the cloud behind its back.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use chrono::{TimeDelta, Utc};
use secrecy::SecretString;
use services_keystone::{Interface, KeystoneSettings};
use services_types::{ServerId, VolumeId, VolumeSnapshotId};
use tempfile::TempDir;

use super::item::{Item, Items};
use super::server::{self, Shared, locked};
use super::state::{Project, State, User};
use super::{cinder, files, neutron, nova};

/// Who is there from the beginning; more with [`FakeCloud::add_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// `backstay` in project `service`, with the roles `admin` and `service`.
    Service,
    /// `demo` in project `demo`: `member`, `creator`, `reader`. Has the network `private`.
    Tenant,
    /// `other` in project `other`, with the same roles.
    Stranger,
}

impl Account {
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Service => ("backstay", "service"),
            Self::Tenant => ("demo", "demo"),
            Self::Stranger => ("other", "other"),
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is refused, and nothing is done.
    Status(u16),
    /// It is done, but the answer is this: what a lost answer looks like behind a proxy.
    DoneButStatus(u16),
    /// It is done this much later.
    Delay(Duration),
}

/// Requests that something goes wrong with. Each request is met by one fault at most, the first that
/// fits.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    path_part: String,
    skip: usize,
    times: usize,
    pub(super) effect: Effect,
}

impl Fault {
    /// The first request of this method whose path has this part in it.
    pub fn on(method: &str, path_part: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            path_part: path_part.to_owned(),
            skip: 0,
            times: 1,
            effect,
        }
    }

    /// Lets so many fitting requests pass first: 2 means the third.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// So many in a row instead of one.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    pub(super) fn strikes(&mut self, method: &str, path: &str) -> bool {
        if self.method != method || !path.contains(&self.path_part) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let strikes = self.times > 0;
        self.times = self.times.saturating_sub(1);
        strikes
    }
}

/// A running fake cloud; it ends, and its files go, when it is dropped.
pub struct FakeCloud {
    shared: Shared,
    server: ServerHandle,
    auth_url: String,
}

impl FakeCloud {
    /// Starts one on a free port.
    pub fn start() -> io::Result<Self> {
        let folder = TempDir::with_prefix("backstay-fake-cloud-")?;
        let (address, shared, server) = server::start(|address| State::new(address, folder))?;
        Ok(Self {
            shared,
            server,
            auth_url: format!("http://{address}/identity/v3"),
        })
    }

    /// Gives the folder of all volumes, and every file in it from now on, to this user of the machine:
    /// what a program that runs as that user needs to read and write disks.
    pub fn give_disks_to(&self, uid: u32) -> io::Result<()> {
        let mut state = locked(&self.shared);
        state.file_owner = Some(uid);
        std::os::unix::fs::chown(state.folder.path(), Some(uid), None)
    }

    /// The compute host that servers made from now on run on (`fake-compute` from the beginning).
    pub fn set_host_name(&self, name: &str) {
        locked(&self.shared).host_name = name.to_owned();
    }

    /// Puts a service that is not the cloud's own, such as `datamover`, into the catalog.
    pub fn set_endpoint(&self, service_type: &str, url: &str) {
        locked(&self.shared)
            .other_endpoints
            .insert(service_type.to_owned(), url.to_owned());
    }

    /// Where Keystone listens.
    pub fn auth_url(&self) -> &str {
        &self.auth_url
    }

    /// How to log in as one of those who are there from the beginning.
    pub fn settings(&self, account: Account) -> io::Result<KeystoneSettings> {
        let (user, project) = account.names();
        self.settings_of(user, project)
    }

    /// How to log in as somebody made by [`add_account`](Self::add_account).
    pub fn settings_of(&self, user: &str, project: &str) -> io::Result<KeystoneSettings> {
        Ok(KeystoneSettings {
            auth_url: self.auth_url.parse().map_err(io::Error::other)?,
            username: user.to_owned(),
            password: SecretString::from(format!("{user}-password")),
            user_domain_name: "Default".to_owned(),
            project_name: project.to_owned(),
            project_domain_name: "Default".to_owned(),
            region_name: Some("RegionOne".to_owned()),
            interface: Interface::Public,
            cafile: None,
            insecure: false,
        })
    }

    /// A user `NAME` with a project `NAME` and these roles in it.
    pub fn add_account(&self, name: &str, roles: &[&str]) {
        let mut state = locked(&self.shared);
        let project = state.add_project(name);
        state.add_user(name, &project, roles);
    }

    /// Sets what goes wrong from now on, after all that was set before.
    pub fn inject(&self, fault: Fault) {
        locked(&self.shared).faults.push(fault);
    }

    /// Takes back all that was set to go wrong.
    pub fn heal(&self) {
        locked(&self.shared).faults.clear();
    }

    /// How many requests of this method had this part in their path, refused ones included.
    pub fn count(&self, method: &str, path_part: &str) -> usize {
        let state = locked(&self.shared);
        state
            .requests
            .iter()
            .filter(|(m, path)| m == method && path.contains(path_part))
            .count()
    }

    /// Everything that a project has (its default security group and what it began with aside), one
    /// line each, such as `volume 4f.. (data)`.
    pub fn leftovers(&self, project_name: &str) -> Vec<String> {
        let state = locked(&self.shared);
        let Some(project) = state.projects.iter().find(|p| p.name == project_name) else {
            return Vec::new();
        };
        let kinds: [(&str, &Items); 7] = [
            ("server", &state.servers),
            ("volume", &state.volumes),
            ("volume snapshot", &state.snapshots),
            ("attachment", &state.attachments),
            ("port", &state.ports),
            ("security group", &state.groups),
            ("floating address", &state.floating_ips),
        ];
        let is_furniture = |item: &Item| {
            item.text("device_owner") == "network:router_interface"
                || item.text("name") == "default"
        };
        let mut lines = Vec::new();
        for (kind, items) in kinds {
            let own = items
                .iter()
                .filter(|(_, item)| item.project_id == project.id && !is_furniture(item));
            lines.extend(own.map(|(id, item)| format!("{kind} {id} ({})", item.text("name"))));
        }
        let flavors = state
            .flavors
            .iter()
            .filter(|(_, item)| item.body["projects"].to_string().contains(&project.id));
        lines.extend(flavors.map(|(id, item)| format!("flavor {id} ({})", item.text("name"))));
        lines
    }

    /// Makes a server, volume, Cinder snapshot, port, image, flavor, network or trust vanish at once, whatever its
    /// state, as an administrator or a disaster would.
    pub fn lose(&self, id: &str) {
        let mut state = locked(&self.shared);
        if state.servers.get(id).is_some() {
            nova::forget_server(&mut state, id);
        }
        cinder::forget_volume(&mut state, id);
        cinder::forget_snapshot(&mut state, id);
        neutron::forget_port(&mut state, id);
        state.images.remove(id);
        state.flavors.remove(id);
        state.networks.remove(id);
        state.trusts.remove(id);
    }

    /// The folder that all volumes and snapshots are files in.
    pub fn folder(&self) -> PathBuf {
        locked(&self.shared).folder.path().to_owned()
    }

    /// Where a volume's bytes are.
    pub fn volume_path(&self, id: &VolumeId) -> PathBuf {
        files::volume_path(locked(&self.shared).folder.path(), id.as_str())
    }

    /// Where the bytes of a disk are that Nova keeps; `role` is `root`, `ephemeral0` or `swap`.
    pub fn nova_disk_path(&self, id: &ServerId, device: &str, role: &str) -> PathBuf {
        let state = locked(&self.shared);
        files::nova_disk_path(state.folder.path(), id.as_str(), device, role)
    }

    /// Where a Cinder snapshot's bytes are.
    pub fn snapshot_path(&self, volume_id: &VolumeId, id: &VolumeSnapshotId) -> PathBuf {
        files::snapshot_path(
            locked(&self.shared).folder.path(),
            volume_id.as_str(),
            id.as_str(),
        )
    }

    /// Puts a thing of Cinder or Nova into any state, such as `error`.
    pub fn set_status(&self, id: &str, status: &str) {
        let mut guard = locked(&self.shared);
        let state = &mut *guard;
        for items in [&mut state.servers, &mut state.volumes, &mut state.snapshots] {
            if let Some(item) = items.get_mut(id) {
                item.set("status", status);
            }
        }
    }

    /// The next server goes to `ERROR` with this fault instead of being built.
    pub fn fail_next_build(&self, fault: &str) {
        locked(&self.shared).next_build_fault = Some(fault.to_owned());
    }

    /// All tokens end now; who has a password gets new ones.
    pub fn expire_tokens(&self) {
        let now = Utc::now();
        for token in locked(&self.shared).tokens.values_mut() {
            token.expires_at = now;
        }
    }

    /// How long the tokens of later log-ins last.
    pub fn set_token_lifetime(&self, lifetime: TimeDelta) {
        locked(&self.shared).token_lifetime = lifetime;
    }

    /// Replaces a user's roles in a project; none locks them out of it.
    pub fn set_roles(&self, user: &str, project: &str, roles: &[&str]) {
        let mut state = locked(&self.shared);
        let user = state
            .users
            .iter()
            .find(|u: &&User| u.name == user)
            .map(|u| u.id.clone());
        let project = state
            .projects
            .iter()
            .find(|p: &&Project| p.name == project)
            .map(|p| p.id.clone());
        if let (Some(user), Some(project)) = (user, project) {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            state.grants.insert((user, project), roles);
        }
    }

    /// How many looks a thing takes to become what was asked for (1 from the beginning).
    pub fn set_looks(&self, looks: u32) {
        locked(&self.shared).looks = looks;
    }

    /// How many entries a list shows at a time (1000 from the beginning).
    pub fn set_page_size(&self, entries: usize) {
        locked(&self.shared).page_size = entries.max(1);
    }

    /// What each project may have of volumes, their GiB, and Cinder snapshots.
    pub fn set_storage_quota(&self, volumes: usize, gigabytes: u64, snapshots: usize) {
        let quotas = &mut locked(&self.shared).quotas;
        (quotas.volumes, quotas.gigabytes, quotas.snapshots) = (volumes, gigabytes, snapshots);
    }

    /// What each project may have of servers and ports.
    pub fn set_server_quota(&self, servers: usize, ports: usize) {
        let quotas = &mut locked(&self.shared).quotas;
        (quotas.instances, quotas.ports) = (servers, ports);
    }
}

impl Drop for FakeCloud {
    fn drop(&mut self) {
        // Stopping goes on in the server's own thread: its future need not be waited for. The process may
        // end before that thread does, so the files are not left to it.
        drop(self.server.stop(false));
        drop(std::fs::remove_dir_all(self.folder()));
    }
}
