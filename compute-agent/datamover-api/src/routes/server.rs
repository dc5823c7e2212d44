use actix_web::web::{Data, Json, Path};
use agent_contract::{Answer, Question, ServerDisks};
use uuid::Uuid;

use crate::Hosts;
use crate::refused::Refused;
use crate::routes::{another_answer, ask};

/// `GET /v2/hosts/{host}/servers/{id}/disks`
pub(crate) async fn disks(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
) -> Result<Json<ServerDisks>, Refused> {
    let (host, server_id) = path.into_inner();
    let question = Question::ServerDisks { server_id };
    match ask(hosts.get_ref(), &host, question).await? {
        Answer::ServerDisks(disks) => Ok(Json(disks)),
        _ => Err(another_answer(&host)),
    }
}
