//! A bucket of our own in a real cloud, removed again.

use std::process::Command;
use std::time::Duration;

use agent_target_s3::{S3Settings, S3Target};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Which of the cloud's two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Radosgw,
    Swift,
}

pub(crate) struct Bucket {
    name: String,
    endpoint: String,
    keys: Keys,
    client: Client,
    runtime: Runtime,
}

/// Credentials for S3 of the cloud's user, taken back at the end.
struct Keys {
    id: String,
    secret: String,
}

fn openstack(arguments: &[&str]) -> String {
    let ran = Command::new("openstack").args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "openstack {arguments:?}: {complaint}");
    String::from_utf8(ran.stdout).unwrap()
}

impl Keys {
    fn create() -> Self {
        let made = openstack(&["ec2", "credentials", "create", "-f", "json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let text = |key| made.get(key).unwrap().as_str().unwrap().to_owned();
        Self {
            id: text("access"),
            secret: text("secret"),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        openstack(&["ec2", "credentials", "delete", &self.id]);
    }
}

impl Bucket {
    pub(crate) fn create(store: Store) -> Self {
        Self::create_with(store, false)
    }

    pub(crate) fn create_with(store: Store, has_object_lock: bool) -> Self {
        let keys = Keys::create();
        let port = match store {
            Store::Radosgw => 7480,
            Store::Swift => 8080,
        };
        let endpoint = format!("http://127.0.0.1:{port}");
        let credentials = Credentials::new(&keys.id, &keys.secret, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("RegionOne"))
            .credentials_provider(credentials)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .endpoint_url(&endpoint)
            .build();
        let name = format!("s3-test-{}", uuid::Uuid::new_v4());
        let bucket = Self {
            client: Client::from_conf(config),
            runtime: Runtime::new().unwrap(),
            name,
            endpoint,
            keys,
        };
        let create = bucket.client.create_bucket().bucket(&bucket.name);
        let create = create.set_object_lock_enabled_for_bucket(has_object_lock.then_some(true));
        bucket.runtime.block_on(create.send()).unwrap();
        bucket
    }

    pub(crate) fn settings(&self, prefix: &str) -> S3Settings {
        S3Settings {
            endpoint_url: Some(self.endpoint.clone()),
            region: "RegionOne".to_owned(),
            prefix: prefix.to_owned(),
            largest_part_bytes: 5 << 20,
            parts_in_flight: 3,
            request_timeout: Duration::from_secs(30),
            ..S3Settings::new(&self.name, &self.keys.id, self.keys.secret.clone().into())
        }
    }

    pub(crate) fn target(&self, prefix: &str) -> S3Target {
        S3Target::new(self.settings(prefix)).unwrap()
    }

    /// All keys, hidden ones too, and unfinished uploads.
    pub(crate) fn everything(&self) -> Vec<String> {
        let objects = self.client.list_objects_v2().bucket(&self.name).send();
        let objects = self.runtime.block_on(objects).unwrap();
        let keys = objects.contents.unwrap_or_default().into_iter();
        let uploads = self.client.list_multipart_uploads().bucket(&self.name);
        let uploads = self.runtime.block_on(uploads.send()).unwrap();
        let uploads = uploads.uploads.unwrap_or_default().into_iter();
        let keys = keys.filter_map(|object| object.key);
        keys.chain(uploads.filter_map(|upload| upload.key))
            .collect()
    }

    /// Old versions and what marks objects as deleted, whatever keeps them.
    fn remove_versions(&self) {
        let listed = self.client.list_object_versions().bucket(&self.name);
        let Ok(listed) = self.runtime.block_on(listed.send()) else {
            return;
        };
        let versions = listed.versions.unwrap_or_default().into_iter();
        let versions = versions.map(|version| (version.key, version.version_id));
        let markers = listed.delete_markers.unwrap_or_default().into_iter();
        let markers = markers.map(|marker| (marker.key, marker.version_id));
        for (key, id) in versions.chain(markers) {
            let delete = self.client.delete_object().bucket(&self.name);
            let delete = delete.set_key(key).set_version_id(id);
            self.runtime.block_on(delete.send()).unwrap();
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let target = self.target("");
        for key in self.everything() {
            let folder = key.split('/').next().unwrap();
            let folder = agent_format::ObjectName::new(folder).unwrap();
            agent_target::Target::delete_folder(&target, &folder).unwrap();
        }
        self.remove_versions();
        let delete = self.client.delete_bucket().bucket(&self.name);
        self.runtime.block_on(delete.send()).unwrap();
    }
}
