//! The output options of cliff's commands.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::columns::{Column, Table};
use super::error::OutputError;
use super::render::{Shape, render};
use super::stdout::write_bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
    Value,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quote {
    All,
    Minimal,
    None,
    Nonnumeric,
}

// No doc comments on the structs: clap would take them for the purpose of the command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ShowOutput {
    /// How to print the result
    #[arg(short, long = "format", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
    /// Print only this column; may be repeated
    #[arg(short, long = "column", value_name = "COLUMN")]
    pub(crate) columns: Vec<String>,
    /// Wrap a table at this many characters; 0 never wraps
    #[arg(
        long,
        value_name = "CHARACTERS",
        default_value_t = 0,
        env = "CLIFF_MAX_TERM_WIDTH",
        hide_env_values = true
    )]
    pub(crate) max_width: u16,
    /// JSON in one line
    #[arg(long)]
    pub(crate) noindent: bool,
    /// What to put in quotation marks in CSV
    #[arg(long = "quote", value_name = "WHAT", default_value = "nonnumeric")]
    pub(crate) quote: Quote,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ListOutput {
    #[command(flatten)]
    pub(crate) common: ShowOutput,
    /// Sort the rows by this column; may be repeated
    #[arg(long = "sort-column", value_name = "COLUMN")]
    pub(crate) sort: Vec<String>,
    /// Print the head of a table that has no rows, too
    #[arg(long)]
    pub(crate) print_empty: bool,
}

impl ShowOutput {
    /// Prints one object of the API.
    pub(crate) fn show(&self, object: &Value) -> Result<(), OutputError> {
        let table = Table::of_object(object).select(&self.columns)?;
        write_bytes(&render(&table, Shape::Show, self)?)
    }

    /// Whether people rather than programs will read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints a list where a command shows parts of one object.
    pub(crate) fn part(&self, columns: &[Column], rows: &[Value]) -> Result<(), OutputError> {
        let table = Table::of_list(columns, rows).select(&self.columns)?;
        write_bytes(&render(&table, Shape::List, self)?)
    }
}

impl ListOutput {
    /// Prints objects of the API under these columns.
    pub(crate) fn list(&self, columns: &[Column], objects: &[Value]) -> Result<(), OutputError> {
        let mut table = Table::of_list(columns, objects);
        table.sort(&self.sort);
        let table = table.select(&self.common.columns)?;
        if table.rows.is_empty() && self.common.is_for_people() && !self.print_empty {
            return write_bytes(b"\n");
        }
        write_bytes(&render(&table, Shape::List, &self.common)?)
    }
}
