//! Commands about trusts.

pub(super) mod create;
pub(super) mod delete;
pub(super) mod list;
pub(super) mod show;

use serde_json::Value;

use crate::api::{Api, ApiError, TRUST, text};

/// The trust of that name, or of that ID in Keystone.
async fn find(api: &Api, what: &str) -> Result<Value, ApiError> {
    let trusts = trusts(api).await?;
    trusts
        .into_iter()
        .find(|trust| text(trust, "name") == what || text(trust, "value") == what)
        .ok_or_else(|| ApiError::NotFound {
            noun: TRUST.noun,
            what: what.to_owned(),
        })
}

/// The collection of trusts is called `trust`.
async fn trusts(api: &Api) -> Result<Vec<Value>, ApiError> {
    let answer = api.get(&[TRUST.collection], &[]).await?;
    api.rows(answer, TRUST.key)
}
