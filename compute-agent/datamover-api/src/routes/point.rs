use actix_web::web::{Data, Json, Path, Query};
use agent_contract::{Answer, PointEnd, PointId, PointRequest, PointStatus, Question};
use uuid::Uuid;

use crate::Hosts;
use crate::refused::Refused;
use crate::routes::{another_answer, ask, ask_until_done};

/// `PUT /v2/hosts/{host}/points/{id}`
pub(crate) async fn take(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    request: Json<PointRequest>,
) -> Result<Json<PointStatus>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::PointTake {
        id: PointId(id),
        request: request.into_inner(),
    };
    match ask(hosts.get_ref(), &host, question).await? {
        Answer::Point(status) => Ok(Json(status)),
        _ => Err(another_answer(&host)),
    }
}

/// `DELETE /v2/hosts/{host}/points/{id}?epoch=N&keep_marks=BOOL`
pub(crate) async fn end(
    hosts: Data<dyn Hosts>,
    path: Path<(String, Uuid)>,
    query: Query<PointEnd>,
) -> Result<Json<()>, Refused> {
    let (host, id) = path.into_inner();
    let question = Question::PointEnd {
        id: PointId(id),
        end: query.into_inner(),
    };
    ask_until_done(hosts.get_ref(), &host, question)
        .await
        .map(Json)
}
