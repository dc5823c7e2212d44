//! `GET /v1/{project_id}/trusts/{id}`

use actix_web::web::{Data, Json, Path};

use super::wire::{TrustAnswer, TrustObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::Named;

/// Shows one trust.
pub(crate) async fn handle(
    path: Path<Named>,
    shared: Data<Shared>,
    access: Access,
) -> Result<Json<TrustAnswer>, ApiError> {
    let row = lookup::trust(&shared.datastore, &access, &path.id).await?;
    Ok(Json(TrustAnswer {
        trust: TrustObject::new(row),
    }))
}
