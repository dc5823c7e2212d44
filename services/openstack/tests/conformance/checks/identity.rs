use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use services_keystone::{
    Keystone, KeystoneErrorKind, KeystoneSettings, NewTrust, TokenValidator, trust_create,
    trust_delete, trust_fetch,
};
use services_openstack::{CloudErrorKind, connect_tenant};
use tokio::time::{Instant, sleep};

use super::block_storage::{small_volume, volume_made};
use crate::site::{Check, unique};

fn service(on: &Check) -> Keystone {
    Keystone::new(on.site.service.clone()).unwrap()
}

pub(crate) async fn a_good_token_says_who_holds_it(on: Arc<Check>) {
    let validator = TokenValidator::new(&service(&on), Duration::from_secs(60));
    let info = validator
        .validate(&on.tenant_token().await)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(info.user_name, on.site.tenant.username);
    assert_eq!(
        info.project_name.as_deref(),
        Some(on.site.tenant.project_name.as_str())
    );
    assert!(info.has_role("member") && info.has_role("MEMBER") && !info.has_role("admin"));
    assert!(info.expires_at > chrono::Utc::now() && info.trust_id.is_none());

    for bad in [
        "",
        "nonsense",
        "gAAAAA with spaces",
        "gAAAAABnonsense",
        &"x".repeat(10_000),
    ] {
        let verdict = validator.validate(&SecretString::from(bad)).await.unwrap();
        assert_eq!(verdict, None, "{bad}");
    }
}

async fn revoke(settings: &KeystoneSettings, token: &SecretString) {
    let answer = reqwest::Client::new()
        .delete(format!("{}/auth/tokens", settings.auth_url))
        .header("X-Auth-Token", token.expose_secret())
        .header("X-Subject-Token", token.expose_secret())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

pub(crate) async fn a_revoked_token_is_refused(on: Arc<Check>) {
    let max_age = Duration::from_secs(3);
    let validator = TokenValidator::new(&service(&on), max_age);
    let token = on.tenant_token().await;
    assert!(validator.validate(&token).await.unwrap().is_some());
    revoke(&on.site.tenant, &token).await;
    let revoked_at = Instant::now();
    while validator.validate(&token).await.unwrap().is_some() {
        assert!(
            revoked_at.elapsed() < max_age + Duration::from_secs(1),
            "still taken for good"
        );
        sleep(Duration::from_millis(100)).await;
    }

    let session = service(&on).token_session(token);
    assert_eq!(
        session.identity().await.unwrap_err().kind(),
        KeystoneErrorKind::Unauthorized
    );
}

pub(crate) async fn a_trust_acts_until_it_is_deleted(on: Arc<Check>) {
    let keystone = service(&on);
    let trustee = keystone.service_session().identity().await.unwrap();
    let trustor = keystone.token_session(on.tenant_token().await);
    let new = NewTrust {
        trustee_user_id: trustee.user_id.clone(),
        roles: vec!["member".to_owned()],
    };
    let trust = trust_create(&trustor, &new).await.unwrap();
    let outcome = tokio::spawn(trusted(Arc::clone(&on), trust.id.clone())).await;
    trust_delete(&trustor, &trust.id).await.unwrap();
    trust_delete(&trustor, &trust.id).await.unwrap();
    outcome.unwrap();

    let gone = trust_fetch(&trustor, &trust.id).await.unwrap_err();
    assert_eq!(gone.kind(), KeystoneErrorKind::NotFound);
    // A token that the trust gave before lives on in the services' own caches for minutes: only a
    // new log-in is sure to notice.
    let lost = connect_tenant(&keystone, &trust.id.parse().unwrap())
        .await
        .err()
        .unwrap();
    assert_eq!(lost.kind(), CloudErrorKind::Unauthorized, "{lost}");
    let lost = keystone
        .trust_session(&trust.id)
        .identity()
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), KeystoneErrorKind::TrustLost, "{lost}");

    let impossible = NewTrust {
        roles: vec!["admin".to_owned()],
        ..new
    };
    let refused = trust_create(&trustor, &impossible).await.unwrap_err();
    assert_eq!(refused.kind(), KeystoneErrorKind::NotFound, "{refused}");
}

/// The trustee sees and makes the trustor's things as the trustor.
async fn trusted(on: Arc<Check>, trust_id: String) {
    let keystone = service(&on);
    let session = keystone.trust_session(&trust_id);
    let (me, tenant) = (
        session.identity().await.unwrap(),
        on.tenant.identity().await.unwrap(),
    );
    assert_eq!(
        (&me.user_id, &me.project_id),
        (&tenant.user_id, &tenant.project_id)
    );
    assert_eq!(me.trust_id.as_deref(), Some(trust_id.as_str()));
    assert_eq!(
        trust_fetch(&keystone.service_session(), &trust_id)
            .await
            .unwrap()
            .id,
        trust_id
    );

    let volume = volume_made(&on, &small_volume(unique("trusted"), Default::default())).await;
    let cloud = connect_tenant(&keystone, &trust_id.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        cloud
            .block_storage()
            .volume_fetch(&volume.id)
            .await
            .unwrap()
            .name,
        volume.name
    );
    cloud
        .block_storage()
        .volume_delete(&volume.id)
        .await
        .unwrap();
}

pub(crate) async fn a_wrong_password_is_not_a_lost_trust(on: Arc<Check>) {
    let settings = KeystoneSettings {
        password: SecretString::from("wrong"),
        ..on.site.service.clone()
    };
    let keystone = Keystone::new(settings).unwrap();
    let refused = keystone.service_session().identity().await.unwrap_err();
    assert_eq!(refused.kind(), KeystoneErrorKind::Unauthorized);
    let refused = keystone
        .trust_session("0123456789abcdef")
        .identity()
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), KeystoneErrorKind::Unauthorized);
    let token = TokenValidator::new(&keystone, Duration::from_secs(1));
    let error = token.validate(&on.tenant_token().await).await.unwrap_err();
    assert_eq!(error.kind(), KeystoneErrorKind::Unauthorized);

    let nowhere = KeystoneSettings {
        auth_url: "http://127.0.0.1:9/v3".parse().unwrap(),
        ..on.site.service.clone()
    };
    let validator = TokenValidator::new(&Keystone::new(nowhere).unwrap(), Duration::from_secs(1));
    let error = validator
        .validate(&SecretString::from("gAAAAA"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KeystoneErrorKind::Unreachable);
}
