use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use crate::Hosts;

/// `GET /health`: for load balancers, without a token; tells nothing of the cloud.
pub(crate) async fn show(hosts: Data<dyn Hosts>) -> HttpResponse {
    let is_healthy = hosts.is_reachable();
    let mut answer = if is_healthy {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(json!({ "healthy": is_healthy, "message_bus": is_healthy }))
}
