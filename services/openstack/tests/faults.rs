//! What the adapter and the sessions do when the cloud misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use services_keystone::{
    Keystone, KeystoneErrorKind, NewTrust, RetryPolicy, TokenValidator, trust_create,
};
use services_openstack::fake::{Account, Effect, FakeCloud, Fault};
use services_openstack::ports::{
    NewServer, NewServerDisk, NewVolume, NewVolumeSnapshot, VolumeSource,
};
use services_openstack::{Cloud, CloudErrorKind as Kind, connect, connect_tenant};

const QUICK: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(5),
    longest_delay: Duration::from_millis(20),
    overall: Duration::from_millis(400),
};

fn keystone(fake: &FakeCloud, account: Account) -> Keystone {
    Keystone::new(fake.settings(account).unwrap()).unwrap()
}

async fn tenant(fake: &FakeCloud) -> Arc<dyn Cloud> {
    connect(keystone(fake, Account::Tenant).service_session(), QUICK)
        .await
        .unwrap()
}

fn volume(size_gib: u64) -> NewVolume {
    NewVolume {
        name: "v".to_owned(),
        description: String::new(),
        size_gib,
        volume_type: None,
        availability_zone: None,
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        source: VolumeSource::Empty,
    }
}

#[tokio::test]
async fn reading_goes_on_through_passing_trouble() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let id = cloud
        .block_storage()
        .volume_create(&volume(1))
        .await
        .unwrap();
    fake.inject(Fault::on("GET", "/volumes/", Effect::Status(503)).times(2));
    fake.inject(Fault::on("GET", "/volumes/", Effect::Status(429)).times(1));
    cloud.block_storage().volume_fetch(&id).await.unwrap();
    assert_eq!(fake.count("GET", "/volumes/"), 4);
}

#[tokio::test]
async fn trouble_that_lasts_is_reported_as_transient_within_the_limit() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    fake.inject(Fault::on("GET", "/flavors", Effect::Status(502)).times(usize::MAX));
    let begun = std::time::Instant::now();
    let error = cloud.compute().flavors().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient);
    assert!(error.request_id().is_some());
    assert!(begun.elapsed() < QUICK.overall * 3);
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_not_repeated() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    fake.inject(Fault::on("POST", "/volumes", Effect::DoneButStatus(504)));
    let error = cloud
        .block_storage()
        .volume_create(&volume(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Transient);
    assert_eq!(fake.count("POST", "/volumes"), 1);
    // Which is why everything is marked, and looked up before it is made again.
    assert_eq!(
        cloud
            .block_storage()
            .volumes_with_metadata("k", "v")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_creation_that_was_turned_away_unseen_is_repeated() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    fake.inject(Fault::on("POST", "/volumes", Effect::Status(429)).times(2));
    cloud
        .block_storage()
        .volume_create(&volume(1))
        .await
        .unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volumes_with_metadata("k", "v")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_success() {
    let fake = FakeCloud::start().unwrap();
    fake.set_looks(0);
    let cloud = tenant(&fake).await;
    let id = cloud
        .block_storage()
        .volume_create(&volume(1))
        .await
        .unwrap();
    cloud.block_storage().volume_fetch(&id).await.unwrap();
    fake.inject(Fault::on("DELETE", "/volumes/", Effect::DoneButStatus(502)));
    cloud.block_storage().volume_delete(&id).await.unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert_eq!(fake.leftovers("demo"), Vec::<String>::new());
}

async fn free_volume(fake: &FakeCloud, cloud: &dyn Cloud) -> services_types::VolumeId {
    fake.set_looks(0);
    let id = cloud
        .block_storage()
        .volume_create(&volume(1))
        .await
        .unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap()
            .status,
        "available"
    );
    id
}

#[tokio::test]
async fn a_reservation_that_cannot_be_completed_is_taken_back() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let id = free_volume(&fake, &*cloud).await;
    fake.inject(Fault::on("POST", "/action", Effect::Status(400)));
    let connector = serde_json::json!({ "host": "h" });
    let error = cloud
        .block_storage()
        .attachment_create(&id, &connector)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap()
            .status,
        "available"
    );
}

#[tokio::test]
async fn a_reservation_whose_answer_is_lost_is_seen_on_its_volume() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let id = free_volume(&fake, &*cloud).await;
    fake.inject(Fault::on(
        "POST",
        "/attachments",
        Effect::DoneButStatus(504),
    ));
    let connector = serde_json::json!({ "host": "h" });
    cloud
        .block_storage()
        .attachment_create(&id, &connector)
        .await
        .unwrap_err();
    let reserved = cloud.block_storage().volume_fetch(&id).await.unwrap();
    assert_eq!(
        (reserved.status.as_str(), reserved.attachments.len()),
        ("attaching", 1)
    );
    cloud
        .block_storage()
        .attachment_delete(&reserved.attachments[0].0)
        .await
        .unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap()
            .status,
        "available"
    );
}

#[tokio::test]
async fn a_group_whose_rules_fail_is_taken_back() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let group = services_types::SecurityGroupRecord {
        id: "old".parse().unwrap(),
        name: "g".to_owned(),
        description: String::new(),
        is_stateful: true,
        rules: Vec::new(),
    };
    fake.inject(Fault::on("DELETE", "/security-group-rules/", Effect::Status(403)).after(1));
    let error = cloud
        .network()
        .security_group_create(&group, "")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert_eq!(fake.leftovers("demo"), Vec::<String>::new());
}

#[tokio::test]
async fn volumes_and_snapshots_hold_real_bytes() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let id = free_volume(&fake, &*cloud).await;
    let reserved = cloud
        .block_storage()
        .attachment_create(&id, &serde_json::json!({}))
        .await
        .unwrap();
    let path = reserved.connection_info["device_path"].as_str().unwrap();
    assert_eq!(path, fake.volume_path(&id).to_str().unwrap());
    assert_eq!(std::fs::metadata(path).unwrap().len(), 1 << 30);
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all(b"before")
        .unwrap();
    let new = NewVolumeSnapshot {
        volume_id: id.clone(),
        name: String::new(),
        description: String::new(),
        metadata: BTreeMap::new(),
    };
    let snapshot = cloud.block_storage().snapshot_create(&new).await.unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all(b"after!")
        .unwrap();
    let frozen = fake.snapshot_path(&id, &snapshot);
    assert_eq!(
        frozen.to_str().unwrap(),
        format!("{path}.snapshot-{snapshot}")
    );
    let mut bytes = [0; 6];
    std::fs::File::open(&frozen)
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    assert_eq!(&bytes, b"before");
    fake.lose(snapshot.as_str());
    assert!(!frozen.exists());
}

#[tokio::test]
async fn a_server_that_cannot_be_built_says_why_and_lets_go_of_its_disk() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let id = free_volume(&fake, &*cloud).await;
    let flavor = cloud.compute().flavors().await.unwrap().remove(0);
    fake.fail_next_build("No valid host was found.");
    let new = NewServer {
        name: "s".to_owned(),
        flavor_id: flavor.id.unwrap(),
        port_ids: Vec::new(),
        disks: vec![NewServerDisk {
            volume_id: id.clone(),
            device: "vda".to_owned(),
            boot_index: 0,
            is_deleted_on_termination: true,
        }],
        key_name: None,
        metadata: BTreeMap::new(),
        availability_zone: None,
        user_data: None,
        has_config_drive: false,
    };
    let server = cloud.compute().server_create(&new).await.unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap()
            .status,
        "reserved"
    );
    let failed = cloud.compute().server_fetch(&server).await.unwrap();
    assert_eq!(
        (failed.status.as_str(), failed.fault.as_deref()),
        ("ERROR", Some("No valid host was found."))
    );
    cloud.compute().server_delete(&server).await.unwrap();
    assert!(
        cloud
            .compute()
            .server_fetch(&server)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        cloud
            .block_storage()
            .volume_fetch(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(fake.leftovers("demo"), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_once_for_many_requests() {
    let fake = FakeCloud::start().unwrap();
    let cloud = tenant(&fake).await;
    let log_ins = fake.count("POST", "/auth/tokens");
    fake.expire_tokens();
    let requests = (0..8).map(|_| {
        let cloud = Arc::clone(&cloud);
        tokio::spawn(async move { cloud.compute().flavors().await })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap().unwrap();
    }
    assert_eq!(fake.count("POST", "/auth/tokens"), log_ins + 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_before_it_is_used() {
    let fake = FakeCloud::start().unwrap();
    fake.set_token_lifetime(chrono::TimeDelta::seconds(5));
    let cloud = tenant(&fake).await;
    fake.set_token_lifetime(chrono::TimeDelta::hours(1));
    cloud.compute().flavors().await.unwrap();
    cloud.compute().flavors().await.unwrap();
    assert_eq!(fake.count("POST", "/auth/tokens"), 2);
    assert_eq!(fake.count("GET", "/flavors"), 2);
}

async fn trust(fake: &FakeCloud) -> (Keystone, services_types::TrustId) {
    let service = keystone(fake, Account::Service);
    let trustee_user_id = service.service_session().identity().await.unwrap().user_id;
    let token = keystone(fake, Account::Tenant)
        .service_session()
        .token()
        .await
        .unwrap();
    let new = NewTrust {
        trustee_user_id,
        roles: vec!["member".to_owned()],
    };
    let trust = trust_create(&service.token_session(token), &new)
        .await
        .unwrap();
    (service, trust.id.parse().unwrap())
}

#[tokio::test]
async fn a_trustor_who_lost_the_role_is_told_from_keystone_in_trouble() {
    let fake = FakeCloud::start().unwrap();
    let (service, trust_id) = trust(&fake).await;
    fake.inject(Fault::on("POST", "/auth/tokens", Effect::Status(503)).times(usize::MAX));
    let error = service
        .trust_session(trust_id.as_str())
        .identity()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KeystoneErrorKind::Unreachable);
    fake.heal();
    connect_tenant(&service, &trust_id).await.map(drop).unwrap();

    fake.set_roles("demo", "demo", &["reader"]);
    let error = service
        .trust_session(trust_id.as_str())
        .identity()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KeystoneErrorKind::TrustLost);
}

#[tokio::test]
async fn a_session_notices_that_its_trust_is_gone() {
    let fake = FakeCloud::start().unwrap();
    let (service, trust_id) = trust(&fake).await;
    let cloud = connect_tenant(&service, &trust_id).await.unwrap();
    fake.lose(trust_id.as_str());
    let error = cloud.compute().flavors().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
    assert!(error.message().contains("trust"), "{error}");
}

#[tokio::test]
async fn a_cloud_that_is_not_there_is_transient() {
    let fake = FakeCloud::start().unwrap();
    let settings = services_keystone::KeystoneSettings {
        auth_url: "http://127.0.0.1:9/v3".parse().unwrap(),
        ..fake.settings(Account::Tenant).unwrap()
    };
    let session = Keystone::new(settings).unwrap().service_session();
    let error = connect(session, QUICK).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Transient);
}

#[tokio::test]
async fn a_service_missing_from_the_catalog_is_named() {
    let fake = FakeCloud::start().unwrap();
    let settings = services_keystone::KeystoneSettings {
        region_name: Some("Elsewhere".to_owned()),
        ..fake.settings(Account::Tenant).unwrap()
    };
    let cloud = connect(Keystone::new(settings).unwrap().service_session(), QUICK)
        .await
        .unwrap();
    let error = cloud.compute().flavors().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    assert!(
        error.message().contains("compute") && error.message().contains("Elsewhere"),
        "{error}"
    );
}

#[tokio::test]
async fn a_validator_remembers_good_tokens_and_never_trusts_silence() {
    let fake = FakeCloud::start().unwrap();
    let validator =
        TokenValidator::new(&keystone(&fake, Account::Service), Duration::from_secs(60));
    let token = keystone(&fake, Account::Tenant)
        .service_session()
        .token()
        .await
        .unwrap();
    let asked = || fake.count("GET", "/auth/tokens");
    for _ in 0..3 {
        assert!(validator.validate(&token).await.unwrap().is_some());
    }
    assert_eq!(asked(), 1);

    let bad = secrecy::SecretString::from("gAAAAABbad");
    for _ in 0..3 {
        assert!(validator.validate(&bad).await.unwrap().is_none());
    }
    assert_eq!(asked(), 2);

    let other = keystone(&fake, Account::Stranger)
        .service_session()
        .token()
        .await
        .unwrap();
    fake.inject(Fault::on("GET", "/auth/tokens", Effect::Status(500)).times(usize::MAX));
    let error = validator.validate(&other).await.unwrap_err();
    assert_eq!(error.kind(), KeystoneErrorKind::Unreachable);
    fake.heal();
    assert!(validator.validate(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn a_validators_own_token_may_end() {
    let fake = FakeCloud::start().unwrap();
    let validator = TokenValidator::new(&keystone(&fake, Account::Service), Duration::ZERO);
    let tenant = keystone(&fake, Account::Tenant).service_session();
    assert!(
        validator
            .validate(&tenant.token().await.unwrap())
            .await
            .unwrap()
            .is_some()
    );
    fake.expire_tokens();
    assert!(
        validator
            .validate(&tenant.token().await.unwrap())
            .await
            .unwrap()
            .is_none()
    );
    let fresh = keystone(&fake, Account::Tenant)
        .service_session()
        .token()
        .await
        .unwrap();
    assert!(validator.validate(&fresh).await.unwrap().is_some());
}
