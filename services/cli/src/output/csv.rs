//! CSV with the quoting that was asked for.

use csv::{QuoteStyle, WriterBuilder};
use serde_json::Value;

use super::columns::Table;
use super::error::OutputError;
use super::options::Quote;
use super::python::str;
use super::render::Shape;

/// A head and a record a row; one object becomes a record a key.
pub(crate) fn csv(table: &Table, shape: Shape, quote: Quote) -> Result<Vec<u8>, OutputError> {
    let mut writer = WriterBuilder::new()
        .quote_style(match quote {
            Quote::All => QuoteStyle::Always,
            Quote::Minimal => QuoteStyle::Necessary,
            Quote::None => QuoteStyle::Never,
            Quote::Nonnumeric => QuoteStyle::NonNumeric,
        })
        .from_writer(Vec::new());
    let mut record = |fields: Vec<String>| writer.write_record(fields).map_err(OutputError::format);
    match shape {
        Shape::List => {
            record(table.columns.clone())?;
            for row in &table.rows {
                record(row.iter().map(cell).collect())?;
            }
        }
        Shape::Show => {
            record(vec!["Field".to_owned(), "Value".to_owned()])?;
            for (column, value) in table.columns.iter().zip(table.rows.iter().flatten()) {
                record(vec![column.clone(), cell(value)])?;
            }
        }
    }
    writer
        .into_inner()
        .map_err(|error| OutputError::format(error.into_error()))
}

/// Python's csv writes nothing for None.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => str(other),
    }
}
