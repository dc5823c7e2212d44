//! A table in the format that was asked for.

use super::columns::Table;
use super::error::OutputError;
use super::options::{Format, ShowOutput};
use super::python::str;
use super::{csv, structured, table};

/// Many objects, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    List,
    Show,
}

/// The bytes for stdout, with the line end.
pub(crate) fn render(
    table: &Table,
    shape: Shape,
    options: &ShowOutput,
) -> Result<Vec<u8>, OutputError> {
    match options.format {
        Format::Table => Ok(table::table(table, shape, options.max_width).into_bytes()),
        Format::Json => structured::json(table, shape, options.noindent),
        Format::Yaml => structured::yaml(table, shape),
        Format::Value => Ok(values(table, shape).into_bytes()),
        Format::Csv => Ok(csv::csv(table, shape, options.quote).into_bytes()),
    }
}

fn values(table: &Table, shape: Shape) -> String {
    let (separator, one_line) = match shape {
        Shape::List => (" ", true),
        Shape::Show => ("\n", false),
    };
    let mut lines = String::new();
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|value| {
                if one_line {
                    str(value).replace('\n', " ")
                } else {
                    str(value)
                }
            })
            .collect();
        lines.push_str(&cells.join(separator));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::columns::column;
    use super::super::options::Quote;
    use super::*;

    fn options(format: Format) -> ShowOutput {
        ShowOutput {
            format,
            columns: Vec::new(),
            max_width: 0,
            noindent: false,
            quote: Quote::Nonnumeric,
        }
    }

    fn list(format: Format) -> String {
        let table = Table::of_list(
            &[
                column("ID", "id"),
                column("Size", "size"),
                column("Name", "name"),
            ],
            &[
                json!({"id": "a", "size": 7, "name": "größe"}),
                json!({"id": "b", "size": 1024, "name": null}),
            ],
        );
        String::from_utf8(render(&table, Shape::List, &options(format)).unwrap()).unwrap()
    }

    fn show(format: Format) -> String {
        let table = Table::of_object(&json!({
            "name": "a \"b\"\nc", "id": 1, "members": [{"id": "x", "ok": true}], "none": null
        }));
        String::from_utf8(render(&table, Shape::Show, &options(format)).unwrap()).unwrap()
    }

    #[test]
    fn a_list_in_every_format() {
        assert_eq!(
            list(Format::Table),
            "+----+------+-------+\n\
             | ID | Size | Name  |\n\
             +----+------+-------+\n\
             | a  |    7 | größe |\n\
             | b  | 1024 | None  |\n\
             +----+------+-------+\n"
        );
        assert_eq!(
            list(Format::Json),
            "[\n  {\n    \"ID\": \"a\",\n    \"Size\": 7,\n    \"Name\": \"größe\"\n  },\n  \
             {\n    \"ID\": \"b\",\n    \"Size\": 1024,\n    \"Name\": null\n  }\n]\n"
        );
        assert_eq!(
            list(Format::Yaml),
            "- ID: a\n  Size: 7\n  Name: größe\n- ID: b\n  Size: 1024\n  Name: null\n"
        );
        assert_eq!(list(Format::Value), "a 7 größe\nb 1024 None\n");
        assert_eq!(
            list(Format::Csv),
            "\"ID\",\"Size\",\"Name\"\n\"a\",7,\"größe\"\n\"b\",1024,\"\"\n"
        );
    }

    #[test]
    fn an_object_in_every_format() {
        assert_eq!(
            show(Format::Table),
            "+---------+---------------------------+\n\
             | Field   | Value                     |\n\
             +---------+---------------------------+\n\
             | id      | 1                         |\n\
             | members | [{'id': 'x', 'ok': True}] |\n\
             | name    | a \"b\"                     |\n\
             |         | c                         |\n\
             | none    | None                      |\n\
             +---------+---------------------------+\n"
        );
        assert_eq!(
            show(Format::Json),
            "{\n  \"id\": 1,\n  \"members\": [\n    {\n      \"id\": \"x\",\n      \"ok\": true\n    \
             }\n  ],\n  \"name\": \"a \\\"b\\\"\\nc\",\n  \"none\": null\n}\n"
        );
        assert_eq!(
            show(Format::Yaml),
            "id: 1\nmembers:\n- id: x\n  ok: true\nname: |-\n  a \"b\"\n  c\nnone: null\n"
        );
        assert_eq!(
            show(Format::Value),
            "1\n[{'id': 'x', 'ok': True}]\na \"b\"\nc\nNone\n"
        );
        assert_eq!(
            show(Format::Csv),
            "\"Field\",\"Value\"\n\"id\",1\n\"members\",\"[{'id': 'x', 'ok': True}]\"\n\
             \"name\",\"a \"\"b\"\"\nc\"\n\"none\",\"\"\n"
        );
    }
}
