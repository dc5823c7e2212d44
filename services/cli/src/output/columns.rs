//! What is shown: columns and rows, before any format.

use serde_json::Value;

use super::error::OutputError;
use super::python::{repr_list, str};

/// A column of a list: its title and the key in the API's object.
pub(crate) struct Column {
    title: &'static str,
    key: &'static str,
}

pub(crate) const fn column(title: &'static str, key: &'static str) -> Column {
    Column { title, key }
}

/// Rows under named columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    /// A list of the API's objects; a key that an object lacks is null.
    pub(crate) fn of_list(columns: &[Column], objects: &[Value]) -> Self {
        let row = |object: &Value| {
            columns
                .iter()
                .map(|c| object.get(c.key).cloned().unwrap_or(Value::Null))
                .collect()
        };
        Self {
            columns: columns
                .iter()
                .map(|column| column.title.to_owned())
                .collect(),
            rows: objects.iter().map(row).collect(),
        }
    }

    /// One object: one row, its keys sorted. Links are for programs that follow them; every client
    /// of OpenStack leaves them out.
    pub(crate) fn of_object(object: &Value) -> Self {
        let mut members: Vec<(&String, &Value)> = object
            .as_object()
            .map(|members| members.iter().collect())
            .unwrap_or_default();
        members.retain(|(key, _)| *key != "links");
        members.sort_by_key(|(key, _)| *key);
        Self {
            columns: members.iter().map(|(key, _)| (*key).clone()).collect(),
            rows: vec![
                members
                    .into_iter()
                    .map(|(_, value)| value.clone())
                    .collect(),
            ],
        }
    }

    /// Only the named columns, in the order of the table; all where none is named.
    pub(crate) fn select(self, wanted: &[String]) -> Result<Self, OutputError> {
        if wanted.is_empty() {
            return Ok(self);
        }
        let keep: Vec<bool> = self
            .columns
            .iter()
            .map(|name| wanted.contains(name))
            .collect();
        if !keep.contains(&true) {
            return Err(OutputError::UnknownColumns {
                asked: repr_list(wanted.iter().map(String::as_str)),
                known: repr_list(self.columns.iter().map(String::as_str)),
            });
        }
        Ok(Self {
            columns: kept(self.columns, &keep),
            rows: self.rows.into_iter().map(|row| kept(row, &keep)).collect(),
        })
    }

    /// Rows in the order of these columns; a column that there is not is passed over.
    pub(crate) fn sort(&mut self, by: &[String]) {
        for name in by.iter().rev() {
            if let Some(index) = self.columns.iter().position(|column| column == name) {
                self.rows.sort_by_cached_key(|row| sort_key(row.get(index)));
            }
        }
    }
}

/// Numbers before texts, and by value.
fn sort_key(value: Option<&Value>) -> (u8, u64, String) {
    match value {
        Some(Value::Number(number)) => (0, number.as_u64().unwrap_or_default(), String::new()),
        Some(other) => (1, 0, str(other)),
        None => (2, 0, String::new()),
    }
}

fn kept<T>(items: Vec<T>, keep: &[bool]) -> Vec<T> {
    items
        .into_iter()
        .zip(keep)
        .filter_map(|(item, keep)| keep.then_some(item))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        Table::of_list(
            &[column("ID", "id"), column("Name", "name")],
            &[
                json!({"id": "b", "name": "x", "more": 1}),
                json!({"id": "a"}),
            ],
        )
    }

    #[test]
    fn an_unknown_column_is_refused_in_cliffs_words() {
        let error = table().select(&["id".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "No recognized column names in ['id']. Recognized columns are ['ID', 'Name']."
        );
    }

    #[test]
    fn named_columns_keep_the_order_of_the_table() {
        let picked = table()
            .select(&["Name".into(), "ID".into(), "Nope".into()])
            .unwrap();
        assert_eq!(picked.columns, ["ID", "Name"]);
        assert_eq!(picked.rows[1], [json!("a"), json!(null)]);
    }

    #[test]
    fn rows_are_sorted_by_the_named_columns() {
        let mut table = table();
        table.sort(&["ID".to_owned()]);
        assert_eq!(table.rows[0][0], json!("a"));
    }

    #[test]
    fn the_keys_of_an_object_are_sorted_and_links_left_out() {
        let table = Table::of_object(&json!({"status": 1, "id": 2, "links": []}));
        assert_eq!(table.columns, ["id", "status"]);
    }
}
