//! JSON and YAML: types stay what they are, columns keep their order.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

use super::columns::Table;
use super::error::OutputError;
use super::render::Shape;

/// `indent 2`, or one line.
pub(crate) fn json(table: &Table, shape: Shape, one_line: bool) -> Result<Vec<u8>, OutputError> {
    let document = Document { table, shape };
    let mut text = if one_line {
        serde_json::to_vec(&document)
    } else {
        serde_json::to_vec_pretty(&document)
    }
    .map_err(OutputError::format)?;
    text.push(b'\n');
    Ok(text)
}

pub(crate) fn yaml(table: &Table, shape: Shape) -> Result<Vec<u8>, OutputError> {
    let text = serde_yaml_ng::to_string(&Document { table, shape }).map_err(OutputError::format)?;
    Ok(text.into_bytes())
}

struct Document<'a> {
    table: &'a Table,
    shape: Shape,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.table.rows.iter().map(|row| Row {
            columns: &self.table.columns,
            row,
        });
        if self.shape == Shape::Show {
            return match rows.into_iter().next() {
                Some(row) => row.serialize(serializer),
                None => serializer.serialize_map(Some(0))?.end(),
            };
        }
        let mut sequence = serializer.serialize_seq(Some(self.table.rows.len()))?;
        for row in rows {
            sequence.serialize_element(&row)?;
        }
        sequence.end()
    }
}

struct Row<'a> {
    columns: &'a [String],
    row: &'a [Value],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, value) in self.columns.iter().zip(self.row) {
            map.serialize_entry(column, value)?;
        }
        map.end()
    }
}
