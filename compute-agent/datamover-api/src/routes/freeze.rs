use actix_web::web::{Data, Json, Path};
use agent_contract::{FreezeOutcome, FreezeRequest, Question};
use uuid::Uuid;

use crate::Hosts;
use crate::refused::Refused;
use crate::routes::ask_freeze;

/// `PUT /v2/hosts/{host}/freezes/{id}`
pub(crate) async fn start(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    request: Json<FreezeRequest>,
) -> Result<Json<FreezeOutcome>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::FreezeStart {
        id,
        request: request.into_inner(),
    };
    ask_freeze(hosts.get_ref(), &host, question).await.map(Json)
}

/// `DELETE /v2/hosts/{host}/freezes/{id}`
pub(crate) async fn end(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
) -> Result<Json<FreezeOutcome>, Refused> {
    let (host, id) = path.into_inner();
    ask_freeze(hosts.get_ref(), &host, Question::FreezeEnd { id })
        .await
        .map(Json)
}
