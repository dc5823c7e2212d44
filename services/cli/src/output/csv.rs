//! CSV with the quoting that was asked for. As in Python, a text of digits is a text.

use serde_json::Value;

use super::columns::Table;
use super::options::Quote;
use super::python::str;
use super::render::Shape;

/// A head and a record a row; one object becomes a record a key.
pub(crate) fn csv(table: &Table, shape: Shape, quote: Quote) -> String {
    let mut text = String::new();
    let mut record = |fields: Vec<String>| {
        text.push_str(&fields.join(","));
        text.push('\n');
    };
    let title = |name: &str| field(&Value::String(name.to_owned()), quote);
    match shape {
        Shape::List => {
            record(table.columns.iter().map(|name| title(name)).collect());
            for row in &table.rows {
                record(row.iter().map(|value| field(value, quote)).collect());
            }
        }
        Shape::Show => {
            record(vec![title("Field"), title("Value")]);
            for (column, value) in table.columns.iter().zip(table.rows.iter().flatten()) {
                record(vec![title(column), field(value, quote)]);
            }
        }
    }
    text
}

fn field(value: &Value, quote: Quote) -> String {
    let text = match value {
        // Python's csv writes nothing for None.
        Value::Null => String::new(),
        other => str(other),
    };
    let is_quoted = match quote {
        Quote::All => true,
        Quote::Nonnumeric => !value.is_number(),
        Quote::Minimal => text.contains([',', '"', '\n', '\r']),
        Quote::None => false,
    };
    if is_quoted {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quoting_goes_by_type_need_or_wish() {
        for (quote, number, digits, comma) in [
            (Quote::All, "\"1\"", "\"1\"", "\"a,\"\"b\""),
            (Quote::Nonnumeric, "1", "\"1\"", "\"a,\"\"b\""),
            (Quote::Minimal, "1", "1", "\"a,\"\"b\""),
            (Quote::None, "1", "1", "a,\"b"),
        ] {
            assert_eq!(field(&json!(1), quote), number);
            assert_eq!(field(&json!("1"), quote), digits);
            assert_eq!(field(&json!("a,\"b"), quote), comma);
        }
    }
}
