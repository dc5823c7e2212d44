//! `GET /v1/{project_id}/snapshots`

use actix_web::web::{Data, Json, Query};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::Deserialize;
use services_db::{Snapshot, SnapshotFilter};
use utoipa::IntoParams;

use super::wire::{SnapshotList, SnapshotListObject};
use crate::access::Access;
use crate::app::Shared;
use crate::error::ApiError;
use crate::lookup;
use crate::v1::wire::lenient_bool;

/// Which snapshots to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Those of this workload.
    workload_id: Option<String>,
    /// Those made by this node.
    host: Option<String>,
    /// Those asked for then or later, `YYYY-MM-DDTHH:MM:SS`.
    date_from: Option<String>,
    /// Those asked for then or earlier, `YYYY-MM-DDTHH:MM:SS`.
    date_to: Option<String>,
    /// Those of all projects; administrators only.
    #[serde(default, deserialize_with = "lenient_bool")]
    all: Option<bool>,
    /// Those of this project; of another one administrators only.
    project_id: Option<String>,
}

/// Lists snapshots.
pub(crate) async fn handle(
    shared: Data<Shared>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<Json<SnapshotList>, ApiError> {
    let rows = rows(&shared, &access, filter).await?;
    Ok(Json(SnapshotList {
        snapshots: rows.iter().map(SnapshotListObject::new).collect(),
    }))
}

pub(super) async fn rows(
    shared: &Shared,
    access: &Access,
    filter: Filter,
) -> Result<Vec<Snapshot>, ApiError> {
    let mut wanted = SnapshotFilter {
        host: filter.host.filter(|host| !host.is_empty()),
        created_from: moment("date_from", filter.date_from)?,
        created_to: moment("date_to", filter.date_to)?,
        ..SnapshotFilter::default()
    };
    if let Some(id) = filter.workload_id.filter(|id| !id.is_empty()) {
        // Naming the workload is enough for an administrator to see what is another project's.
        wanted.workload_id = Some(lookup::workload(&shared.datastore, access, &id).await?.id);
    } else {
        let wants_all = filter.all.unwrap_or(false);
        let Some(scope) = access.list_scope(wants_all, filter.project_id.as_deref()) else {
            return Ok(Vec::new());
        };
        wanted.project_id = scope;
    }
    Ok(shared.datastore.snapshot_list(wanted).await?)
}

fn moment(name: &str, given: Option<String>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let text = text.trim();
    let day = || {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0)
    };
    let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .ok()
        .or_else(day);
    match moment {
        Some(moment) => Ok(Some(moment.and_utc())),
        None => Err(ApiError::BadRequest(format!(
            "{name} is not of the form YYYY-MM-DDTHH:MM:SS."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_with_and_without_its_time() {
        for (given, moment_text) in [
            ("2026-11-21T10:20:30", Some("2026-11-21T10:20:30Z")),
            (
                "2026-11-21T10:20:30.250000",
                Some("2026-11-21T10:20:30.250Z"),
            ),
            ("2026-11-21", Some("2026-11-21T00:00:00Z")),
            ("", None),
        ] {
            let read = moment("date_from", Some(given.to_owned())).unwrap();
            assert_eq!(
                read,
                moment_text.map(|text| text.parse().unwrap()),
                "{given}"
            );
        }
        assert!(moment("date_from", Some("21/11/2026".to_owned())).is_err());
    }
}
