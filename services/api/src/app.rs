//! The application put together: what the handlers share, the table's resources, and the answer to
//! whatever is no endpoint.

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use services_db::Datastore;
use services_keystone::{Keystone, Session, TokenValidator};

use crate::body::BodyLimit;
use crate::policy::Policy;
use crate::routes;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The rows.
    pub datastore: Datastore,
    /// Where callers' tokens are used in their name.
    pub keystone: Keystone,
    /// Our own user, the trustee of every trust.
    pub service: Session,
    /// Whose token is good.
    pub validator: Arc<TokenValidator>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Roles that a tenant hands on to us by a trust, where they have them.
    pub trustee_roles: Arc<[String]>,
    /// The target that new backups go to.
    pub target_id: Option<Arc<str>>,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
}

/// Adds everything but the outermost layer ([`answer`](crate::answer)) to an application.
pub fn configure(shared: &Shared) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let shared = shared.clone();
    move |app| {
        app.app_data(Data::from(Arc::clone(&shared.validator)))
            .app_data(Data::from(Arc::clone(&shared.policy)))
            .app_data(Data::new(BodyLimit {
                bytes: shared.max_body_bytes,
            }))
            .app_data(Data::new(shared));
        for resource in routes::resources() {
            app.service(resource);
        }
        app.default_service(web::to(not_found));
    }
}

async fn not_found() -> impl Responder {
    HttpResponse::NotFound()
}
