//! What a tenant does by hand: servers with data on their volumes.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::{Whence, lseek};
use serde_json::{Value, json};
use services_keystone::{Keystone, KeystoneSettings, Method, NewTrust, Request, Service, Session};
use services_keystone::{RetryPolicy, trust_create};
use services_openstack::fake::FakeCloud;
use services_openstack::ports::{NewPort, NewServer, NewServerDisk, NewVolume, VolumeSource};
use services_openstack::{Cloud, connect};
use services_types::{
    FixedIp, NetworkId, ProjectId, SecurityGroupId, SecurityGroupRecord, ServerId, TrustId, UserId,
    VolumeId,
};

use crate::wait_until;

/// A tenant's session with the cloud.
pub struct Tenant {
    /// Acts as the tenant.
    pub cloud: Arc<dyn Cloud>,
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub project_id: ProjectId,
    session: Session,
}

/// A server to be made.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Display name.
    pub name: String,
    /// Its flavor, by name.
    pub flavor: &'static str,
    /// Made of the cloud's image, instead of booting from its first volume.
    pub is_of_image: bool,
    /// Type of each volume of 1 GiB, the boot volume first; `None` is the default.
    pub volumes: Vec<Option<&'static str>>,
    /// Numbers of those that their owner leaves out of backups.
    pub left_out: Vec<usize>,
    /// Volumes that exist, attached after the others.
    pub attached: Vec<VolumeId>,
}

impl ServerSpec {
    /// A boot volume and a data volume of 1 GiB each.
    pub fn with_two_disks(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            flavor: "fake.tiny",
            is_of_image: false,
            volumes: vec![None, None],
            left_out: Vec::new(),
            attached: Vec::new(),
        }
    }

    /// Everything that a server can have: a root disk made of an image, an ephemeral disk and swap that
    /// Nova keeps, and volumes that are reached in different ways.
    pub fn with_disks_of_all_kinds(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            flavor: "fake.local",
            is_of_image: true,
            volumes: vec![None, Some("fake-share"), Some("fake-block")],
            ..Self::with_two_disks(name)
        }
    }
}

impl Tenant {
    pub(crate) async fn log_in(settings: KeystoneSettings) -> Self {
        let session = Keystone::new(settings).unwrap().service_session();
        let identity = session.identity().await.unwrap();
        Self {
            cloud: connect(session.clone(), RetryPolicy::default())
                .await
                .unwrap(),
            user_id: identity.user_id.parse().unwrap(),
            project_id: identity.project_id.unwrap().parse().unwrap(),
            session,
        }
    }

    /// Lets `trustee` act for this tenant.
    pub async fn trust(&self, trustee: &str) -> TrustId {
        let roles = vec!["member".to_owned(), "creator".to_owned()];
        let new = NewTrust {
            trustee_user_id: trustee.to_owned(),
            roles,
        };
        trust_create(&self.session, &new)
            .await
            .unwrap()
            .id
            .parse()
            .unwrap()
    }

    /// The network `private` that the tenant begins with.
    pub async fn network(&self) -> NetworkId {
        let request =
            Request::new(Method::GET, Service::Network, &["networks"]).query("name", "private");
        let body = self.raw(&request).await;
        body["networks"][0]["id"].as_str().unwrap().parse().unwrap()
    }

    /// A security group that lets SSH in.
    pub async fn security_group(&self, name: &str) -> SecurityGroupId {
        let group = SecurityGroupRecord {
            id: "none".parse().unwrap(),
            name: name.to_owned(),
            description: String::new(),
            is_stateful: true,
            rules: vec![services_types::SecurityGroupRule {
                direction: "ingress".to_owned(),
                ethertype: "IPv4".to_owned(),
                protocol: Some("tcp".to_owned()),
                port_range_min: Some(22),
                port_range_max: Some(22),
                remote_ip_prefix: Some("10.0.0.0/8".to_owned()),
                remote_group_id: None,
                description: "ssh".to_owned(),
            }],
        };
        self.cloud
            .network()
            .security_group_create(&group, "the tenant's own")
            .await
            .unwrap()
    }

    /// A server that runs, with a port in its own security group, and all its volumes attached.
    pub async fn server(&self, spec: &ServerSpec) -> ServerId {
        let network_id = self.network().await;
        let group = self.security_group(&format!("{}-group", spec.name)).await;
        let port = NewPort {
            project_id: self.project_id.clone(),
            name: format!("{}-port", spec.name),
            description: String::new(),
            network_id,
            mac_address: None,
            fixed_ips: Vec::<FixedIp>::new(),
            security_group_ids: vec![group],
            is_port_security_enabled: true,
            allowed_address_pairs: Vec::new(),
            vnic_type: "normal".to_owned(),
        };
        let port = self.cloud.network().port_create(&port).await.unwrap();
        let mut disks = Vec::new();
        for (number, volume_type) in spec.volumes.iter().enumerate() {
            let name = format!("{}-{number}", spec.name);
            let is_left_out = spec.left_out.contains(&number);
            let volume_id = self.volume_of_type(&name, *volume_type, is_left_out).await;
            let letter = char::from(b'a' + u8::try_from(number).unwrap());
            disks.push(NewServerDisk {
                volume_id,
                device: format!("vd{letter}"),
                boot_index: if number == 0 { 0 } else { -1 },
                is_deleted_on_termination: false,
            });
        }
        for volume_id in &spec.attached {
            disks.push(NewServerDisk {
                volume_id: volume_id.clone(),
                device: format!(
                    "vd{}",
                    char::from(b'a' + u8::try_from(disks.len()).unwrap())
                ),
                boot_index: -1,
                is_deleted_on_termination: false,
            });
        }
        let boot = disks.first().filter(|_| !spec.is_of_image);
        if let Some(boot) = boot {
            let storage = self.cloud.block_storage();
            storage
                .volume_set_bootable(&boot.volume_id, true)
                .await
                .unwrap();
        }
        let flavors = self.cloud.compute().flavors().await.unwrap();
        let flavor = flavors.iter().find(|flavor| flavor.name == spec.flavor);
        let new = NewServer {
            name: spec.name.clone(),
            flavor_id: flavor.unwrap().id.clone().unwrap(),
            port_ids: vec![port.id],
            disks,
            key_name: None,
            metadata: BTreeMap::from([("role".to_owned(), "database".to_owned())]),
            availability_zone: None,
            user_data: None,
            has_config_drive: false,
        };
        let id = if spec.is_of_image {
            self.server_of_image(&new).await
        } else {
            self.cloud.compute().server_create(&new).await.unwrap()
        };
        wait_until("the server to run", || async {
            self.cloud.compute().server_fetch(&id).await.unwrap().status == "ACTIVE"
        })
        .await;
        id
    }

    /// Backstay itself makes no such servers, so its port to Nova has no way to.
    async fn server_of_image(&self, new: &NewServer) -> ServerId {
        let images = Request::new(Method::GET, Service::Image, &["images"]);
        let images = self.raw(&images).await;
        let disk = |disk: &NewServerDisk| {
            json!({ "uuid": disk.volume_id, "source_type": "volume", "destination_type": "volume",
                    "boot_index": -1, "delete_on_termination": false })
        };
        let body = json!({ "server": {
            "name": new.name, "flavorRef": new.flavor_id, "imageRef": images["images"][0]["id"],
            "networks": [{ "port": new.port_ids[0] }], "metadata": new.metadata,
            "block_device_mapping_v2": new.disks.iter().map(disk).collect::<Vec<_>>(),
        } });
        let request = Request::new(Method::POST, Service::Compute, &["servers"]).body(body);
        let made = self.raw(&request).await;
        made["server"]["id"].as_str().unwrap().parse().unwrap()
    }

    async fn raw(&self, request: &Request) -> Value {
        let answer = self.session.send(request).await.unwrap();
        assert!(answer.is_success(), "{}", answer.status());
        answer.json().unwrap()
    }

    /// A free volume of 1 GiB.
    pub async fn volume_of_type(
        &self,
        name: &str,
        volume_type: Option<&str>,
        is_left_out: bool,
    ) -> VolumeId {
        let mut metadata = BTreeMap::from([("kept".to_owned(), "yes".to_owned())]);
        if is_left_out {
            metadata.insert("exclude_from_backup".to_owned(), "True".to_owned());
        }
        let new = NewVolume {
            name: name.to_owned(),
            description: String::new(),
            size_gib: 1,
            volume_type: volume_type.map(str::to_owned),
            availability_zone: None,
            metadata,
            source: VolumeSource::Empty,
        };
        let id = self
            .cloud
            .block_storage()
            .volume_create(&new)
            .await
            .unwrap();
        wait_until("the volume", || async {
            self.cloud
                .block_storage()
                .volume_fetch(&id)
                .await
                .unwrap()
                .status
                == "available"
        })
        .await;
        id
    }

    /// Volumes of a server, boot disk first.
    pub async fn volumes(&self, server: &ServerId) -> Vec<VolumeId> {
        let mut attached = self
            .cloud
            .compute()
            .volume_attachments(server)
            .await
            .unwrap();
        attached.sort_by(|a, b| a.device.cmp(&b.device));
        attached.into_iter().map(|one| one.volume_id).collect()
    }

    /// Deletes a server and its volumes, with all Cinder snapshots of those.
    pub async fn lose(&self, cloud: &FakeCloud, server: &ServerId) {
        for volume in self.volumes(server).await {
            for line in cloud.leftovers("demo") {
                if let Some(id) = line.strip_prefix("volume snapshot ") {
                    cloud.lose(id.split(' ').next().unwrap());
                }
            }
            cloud.lose(volume.as_str());
        }
        for port in self.cloud.network().ports_of_server(server).await.unwrap() {
            cloud.lose(port.id.as_str());
        }
        cloud.lose(server.as_str());
    }
}

/// Writes `length` bytes that only `seed` could have made.
pub fn write_pattern(path: &PathBuf, offset: u64, length: usize, seed: u8) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&noise(length, seed), offset).unwrap();
}

/// Writes whole clusters of 64 KiB, no two of them alike and none compressible, as fast as a test may want
/// many of them.
pub fn write_clusters(path: &PathBuf, offset: u64, clusters: u64, seed: u8) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut bytes = noise(64 << 10, seed);
    for number in 0..clusters {
        let at = offset + (number << 16);
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        file.write_all_at(&bytes, at).unwrap();
    }
}

/// Bytes that no compressor makes shorter (xorshift), the same for the same seed.
fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ u64::from(seed);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// The digest of what a file holds, whether its zeroes are stored or holes.
pub fn digest(path: &PathBuf) -> agent_format::Digest {
    const STEP: u64 = 64 << 10;
    let file = std::fs::File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut held = size.to_le_bytes().to_vec();
    let mut offset = 0;
    while let Some(data) = next_data(&file, offset).filter(|data| *data < size) {
        let start = data / STEP * STEP;
        let mut bytes = vec![0; usize::try_from((size - start).min(STEP)).unwrap()];
        file.read_exact_at(&mut bytes, start).unwrap();
        if bytes.iter().any(|byte| *byte != 0) {
            held.extend(start.to_le_bytes());
            held.extend(bytes);
        }
        offset = start + STEP;
    }
    agent_format::Digest::of(&held)
}

fn next_data(file: &std::fs::File, offset: u64) -> Option<u64> {
    let found = lseek(file, i64::try_from(offset).unwrap(), Whence::SeekData);
    found.ok().map(|at| u64::try_from(at).unwrap())
}
