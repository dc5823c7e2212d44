use actix_web::web::{Data, Json, Path, Query};
use agent_contract::{
    Answer, ConnectionId, ConnectionRequest, ConnectionStatus, Connector, Question,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::Hosts;
use crate::refused::Refused;
use crate::routes::{another_answer, ask, ask_until_done};

/// `GET /v2/hosts/{host}/connector`
pub(crate) async fn connector(
    hosts: Data<dyn Hosts>,
    path: Path<String>,
) -> Result<Json<Connector>, Refused> {
    let host = path.into_inner();
    match ask(hosts.get_ref(), &host, Question::Connector {}).await? {
        Answer::Connector(connector) => Ok(Json(connector)),
        _ => Err(another_answer(&host)),
    }
}

/// `PUT /v2/hosts/{host}/connections/{id}`
pub(crate) async fn open(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    request: Json<ConnectionRequest>,
) -> Result<Json<ConnectionStatus>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::ConnectionOpen {
        id: ConnectionId(id),
        request: request.into_inner(),
    };
    match ask(hosts.get_ref(), &host, question).await? {
        Answer::Connection(status) => Ok(Json(status)),
        _ => Err(another_answer(&host)),
    }
}

#[derive(Deserialize)]
pub(crate) struct Close {
    epoch: i64,
}

/// `DELETE /v2/hosts/{host}/connections/{id}?epoch=N`
pub(crate) async fn close(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    query: Query<Close>,
) -> Result<Json<()>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::ConnectionClose {
        id: ConnectionId(id),
        epoch: query.epoch,
    };
    ask_until_done(hosts.get_ref(), &host, question)
        .await
        .map(Json)
}
