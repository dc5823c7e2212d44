//! No token, password or connection of a volume is in any log line, whatever the level.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::ExposeSecret;
use services_keystone::{Keystone, TokenValidator};
use services_openstack::connect_service;
use services_openstack::fake::{Account, Effect, FakeCloud, Fault};
use services_openstack::ports::{NewVolume, VolumeSource};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_even_when_everything_is() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let fake = FakeCloud::start().unwrap();
    let keystone = Keystone::new(fake.settings(Account::Tenant).unwrap()).unwrap();
    let token = keystone.service_session().token().await.unwrap();
    let service = Keystone::new(fake.settings(Account::Service).unwrap()).unwrap();
    let validator = TokenValidator::new(&service, Duration::from_secs(1));
    validator.validate(&token).await.unwrap().unwrap();
    fake.inject(Fault::on("GET", "/auth/tokens", Effect::Status(500)).times(usize::MAX));
    let unknown = "gAAAAABunknown-token".to_owned().into();
    let error = validator.validate(&unknown).await.unwrap_err();
    fake.heal();

    let cloud = connect_service(&keystone).await.unwrap();
    let new = NewVolume {
        name: "v".to_owned(),
        description: String::new(),
        size_gib: 1,
        volume_type: None,
        availability_zone: None,
        metadata: BTreeMap::new(),
        source: VolumeSource::Empty,
    };
    fake.set_looks(0);
    let id = cloud.block_storage().volume_create(&new).await.unwrap();
    cloud.block_storage().volume_fetch(&id).await.unwrap();
    let connector = serde_json::json!({ "host": "h" });
    let made = cloud
        .block_storage()
        .attachment_create(&id, &connector)
        .await
        .unwrap();
    let path = made.connection_info["device_path"].as_str().unwrap();

    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("/auth/tokens") || logged.contains("log in to Keystone"),
        "{logged}"
    );
    let shown = format!(
        "{logged} {error:?} {made:?} {:?}",
        fake.settings(Account::Tenant).unwrap()
    );
    for secret in [
        token.expose_secret(),
        "demo-password",
        "backstay-password",
        "unknown-token",
        path,
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
