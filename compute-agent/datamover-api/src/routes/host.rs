use actix_web::web::{Data, Json};
use agent_contract::HostStatus;

use crate::Hosts;

/// `GET /v2/hosts`
pub(crate) async fn list(hosts: Data<dyn Hosts>) -> Json<Vec<HostStatus>> {
    Json(hosts.list())
}
