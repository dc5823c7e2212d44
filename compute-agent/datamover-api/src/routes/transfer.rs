use actix_web::web::{Data, Json, Path, Query};
use agent_contract::{Question, TransferId, TransferRequest, TransferStatus};
use serde::Deserialize;
use uuid::Uuid;

use crate::Hosts;
use crate::refused::Refused;
use crate::routes::ask_transfer;

/// `PUT /v2/hosts/{host}/transfers/{id}`
pub(crate) async fn start(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    request: Json<TransferRequest>,
) -> Result<Json<TransferStatus>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::TransferStart {
        id: TransferId(id),
        request: request.into_inner(),
    };
    ask_transfer(hosts.get_ref(), &host, question)
        .await
        .map(Json)
}

/// `GET /v2/hosts/{host}/transfers/{id}`
pub(crate) async fn show(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
) -> Result<Json<TransferStatus>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::TransferShow { id: TransferId(id) };
    ask_transfer(hosts.get_ref(), &host, question)
        .await
        .map(Json)
}

#[derive(Deserialize)]
pub(crate) struct Cancel {
    epoch: i64,
}

/// `DELETE /v2/hosts/{host}/transfers/{id}?epoch=N`
pub(crate) async fn cancel(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    query: Query<Cancel>,
) -> Result<Json<TransferStatus>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::TransferCancel {
        id: TransferId(id),
        epoch: query.epoch,
    };
    ask_transfer(hosts.get_ref(), &host, question)
        .await
        .map(Json)
}
