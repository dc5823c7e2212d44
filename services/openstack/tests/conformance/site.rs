//! A cloud to check, and what the checks share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use services_keystone::{
    Keystone, KeystoneSettings, Method, Request, RetryPolicy, Service, Session,
};
use services_openstack::{Cloud, CloudError, connect, connect_service};
use tokio::time::{Instant, sleep};

use crate::cleanup::Cleanup;

/// What a check needs to know of a cloud.
#[derive(Clone)]
pub(crate) struct Site {
    /// Our service user, an administrator.
    pub(crate) service: KeystoneSettings,
    /// An ordinary member of a project that has the network.
    pub(crate) tenant: KeystoneSettings,
    /// An ordinary member of another project.
    pub(crate) stranger: KeystoneSettings,
    /// Of the tenant's project, with a subnet and a router that leads to `external_network`.
    pub(crate) network: String,
    pub(crate) external_network: String,
    pub(crate) image: String,
    pub(crate) flavor: String,
    /// A volume type for several servers at a time.
    pub(crate) multiattach_type: String,
    /// Whether its compute hosts can make config drives (they need `genisoimage`).
    pub(crate) has_config_drives: bool,
    /// Whether attachments say where an RBD image is.
    pub(crate) has_rbd: bool,
    /// Held for as long as the site is needed.
    #[allow(dead_code, reason = "a server that ends when it is dropped")]
    pub(crate) keeper: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

/// A check's hands: the site, and a tenant's cloud whose leftovers are taken away.
pub(crate) struct Check {
    pub(crate) site: Site,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) tenant: Session,
    pub(crate) cleanup: Cleanup,
}

/// Runs a check in a task of its own, so that cleaning up comes after a panic as well.
pub(crate) async fn run<F>(site: Site, check: F)
where
    F: FnOnce(Arc<Check>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static,
{
    let tenant = Keystone::new(site.tenant.clone())
        .unwrap()
        .service_session();
    let cloud = connect(tenant.clone(), RetryPolicy::default())
        .await
        .unwrap();
    let on = Arc::new(Check {
        site,
        cloud,
        tenant,
        cleanup: Cleanup::default(),
    });
    let outcome = tokio::spawn(check(Arc::clone(&on))).await;
    let left = on.cleanup.run(&*on.cloud).await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
    assert_eq!(left, Vec::<String>::new(), "left behind");
}

impl Check {
    pub(crate) async fn service_cloud(&self) -> Arc<dyn Cloud> {
        connect_service(&Keystone::new(self.site.service.clone()).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn stranger_cloud(&self) -> Arc<dyn Cloud> {
        connect_service(&Keystone::new(self.site.stranger.clone()).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn tenant_token(&self) -> SecretString {
        Keystone::new(self.site.tenant.clone())
            .unwrap()
            .service_session()
            .token()
            .await
            .unwrap()
    }

    pub(crate) async fn project_id(&self) -> services_types::ProjectId {
        self.tenant
            .identity()
            .await
            .unwrap()
            .project_id
            .unwrap()
            .parse()
            .unwrap()
    }

    /// The id of the one thing of this name, on whichever page it is.
    pub(crate) async fn id_of(&self, service: Service, collection: &str, name: &str) -> String {
        let segments: Vec<&str> = collection.split('/').collect();
        let mut request = Request::new(Method::GET, service, &segments);
        loop {
            let page = self.raw(&self.tenant, request).await;
            let page = page[segments[0]].as_array().unwrap();
            if let Some(found) = page.iter().find(|item| item["name"] == name) {
                return found["id"].as_str().unwrap().to_owned();
            }
            let last = page
                .last()
                .unwrap_or_else(|| panic!("no {name} in {collection}"));
            request = Request::new(Method::GET, service, &segments)
                .query("marker", last["id"].as_str().unwrap());
        }
    }

    /// A request outside the ports, to set the stage.
    pub(crate) async fn raw(&self, session: &Session, request: Request) -> Value {
        let answer = session.send(&request).await.unwrap();
        assert!(
            answer.is_success(),
            "{} {:?}",
            answer.status(),
            answer.fault()
        );
        answer.json().unwrap_or_default()
    }
}

/// No two runs share a name.
pub(crate) fn unique(what: &str) -> String {
    format!(
        "conformance-{what}-{}",
        &uuid::Uuid::new_v4().simple().to_string()[..8]
    )
}

/// Asks until the answer is as wanted; three minutes is what a busy lab takes for a server.
pub(crate) async fn wait_until<T, Asked>(
    what: &str,
    mut ask: impl FnMut() -> Asked,
    is_wanted: impl Fn(&Result<T, CloudError>) -> bool,
) -> Result<T, CloudError>
where
    T: std::fmt::Debug,
    Asked: Future<Output = Result<T, CloudError>>,
{
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if is_wanted(&answer) {
            return answer;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "{what}: still {answer:?}"
        );
        sleep(Duration::from_millis(200)).await;
    }
}
