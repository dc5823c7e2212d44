//! The table that PrettyTable draws: scripts split it at `|`.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, TableStyle,
};
use serde_json::Value;

use super::columns::Table;
use super::python::str;
use super::render::Shape;
use super::stdout::printable;

const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('+', '-', '+', '+'))
    .header_lines(ContentLineStyle::new('|', '|', '|'))
    .header_separator(LineStyle::new('+', '-', '+', '+'))
    .content_lines(ContentLineStyle::new('|', '|', '|'))
    .bottom_border(LineStyle::new('+', '-', '+', '+'));

/// Draws it, wrapped at `max_width` characters unless that is 0.
pub(crate) fn table(table: &Table, shape: Shape, max_width: u16) -> String {
    let mut drawing = comfy_table::Table::new();
    drawing.load_style(STYLE);
    if max_width > 0 {
        drawing
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(max_width);
    }
    match shape {
        Shape::List => {
            let numeric = numeric_columns(table);
            drawing.set_header(table.columns.iter().map(|name| printable(name)));
            for row in &table.rows {
                let cells = row
                    .iter()
                    .zip(&numeric)
                    .map(|(value, numeric)| cell(value, *numeric));
                drawing.add_row(cells);
            }
        }
        Shape::Show => {
            drawing.set_header(["Field", "Value"]);
            for (column, value) in table.columns.iter().zip(table.rows.iter().flatten()) {
                drawing.add_row([Cell::new(printable(column)), cell(value, false)]);
            }
        }
    }
    format!("{drawing}\n")
}

/// As cliff has it: the first row decides.
fn numeric_columns(table: &Table) -> Vec<bool> {
    let first = table.rows.first();
    (0..table.columns.len())
        .map(|index| {
            first
                .and_then(|row| row.get(index))
                .is_some_and(Value::is_number)
        })
        .collect()
}

fn cell(value: &Value, is_numeric: bool) -> Cell {
    let cell = Cell::new(printable(&str(value)));
    if is_numeric {
        cell.set_alignment(CellAlignment::Right)
    } else {
        cell
    }
}
