//! From a name or an ID to the thing itself.

use serde_json::Value;
use uuid::Uuid;

use super::client::Api;
use super::error::ApiError;

/// One noun of the API: what people call it, its collection and the key around one of it.
pub(crate) struct Kind {
    pub(crate) noun: &'static str,
    pub(crate) collection: &'static str,
    pub(crate) key: &'static str,
}

pub(crate) const WORKLOAD: Kind = Kind {
    noun: "workload",
    collection: "workloads",
    key: "workload",
};
pub(crate) const WORKLOAD_TYPE: Kind = Kind {
    noun: "workload type",
    collection: "workload_types",
    key: "workload_type",
};
pub(crate) const SNAPSHOT: Kind = Kind {
    noun: "snapshot",
    collection: "snapshots",
    key: "snapshot",
};
pub(crate) const RESTORE: Kind = Kind {
    noun: "restore",
    collection: "restores",
    key: "restore",
};
pub(crate) const TRUST: Kind = Kind {
    noun: "trust",
    collection: "trusts",
    key: "trust",
};

/// A text member, empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Api {
    /// The full object of that name or ID.
    pub(crate) async fn find(&self, kind: &Kind, what: &str) -> Result<Value, ApiError> {
        if Uuid::parse_str(what).is_ok() {
            match self.show(kind, what).await {
                Err(error) if error.is_not_found() => {}
                other => return other,
            }
        }
        let id = self.id_of_name(kind, what).await?;
        self.show(kind, &id).await
    }

    /// The ID of what is known to be there under that name or ID.
    pub(crate) async fn existing_id(&self, kind: &Kind, what: &str) -> Result<String, ApiError> {
        Ok(text(&self.find(kind, what).await?, "id").to_owned())
    }

    /// The same for a filter, where what looks like an ID is believed: it may be gone.
    pub(crate) async fn find_id(&self, kind: &Kind, what: &str) -> Result<String, ApiError> {
        match Uuid::parse_str(what) {
            Ok(_) => Ok(what.to_owned()),
            Err(_) => self.id_of_name(kind, what).await,
        }
    }

    /// One object by its ID.
    pub(crate) async fn show(&self, kind: &Kind, id: &str) -> Result<Value, ApiError> {
        let answer = self.get(&[kind.collection, id], &[]).await?;
        self.unwrap(answer, kind.key)
    }

    /// A collection as the API lists it.
    pub(crate) async fn list(
        &self,
        kind: &Kind,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, ApiError> {
        let answer = self.get(&[kind.collection], query).await?;
        self.rows(answer, kind.collection)
    }

    /// The array under `key`.
    pub(crate) fn rows(&self, answer: Value, key: &'static str) -> Result<Vec<Value>, ApiError> {
        match self.unwrap(answer, key)? {
            Value::Array(rows) => Ok(rows),
            single => Ok(vec![single]),
        }
    }

    async fn id_of_name(&self, kind: &Kind, name: &str) -> Result<String, ApiError> {
        let rows = self.list(kind, &[]).await?;
        let ids: Vec<&str> = rows
            .iter()
            .filter(|row| text(row, "name") == name)
            .map(|row| text(row, "id"))
            .collect();
        match ids.as_slice() {
            [] => Err(ApiError::NotFound {
                noun: kind.noun,
                what: name.to_owned(),
            }),
            [id] => Ok((*id).to_owned()),
            several => Err(ApiError::Ambiguous {
                noun: kind.noun,
                what: name.to_owned(),
                ids: several.join(", "),
            }),
        }
    }
}
