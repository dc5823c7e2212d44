//! Results on stdout, in the five formats that OpenStack's clients speak.
//!
//! | format | a list is | one object is | nested values |
//! |---|---|---|---|
//! | table | a row each | a row a key | Python's notation |
//! | json, yaml | an array of objects | an object | as they are |
//! | value | a line each, separated by spaces | a line a value | Python's notation |
//! | csv | a record each | a record a key | Python's notation |

mod columns;
mod csv;
mod error;
mod options;
mod python;
mod render;
mod stderr;
mod stdout;
mod structured;
mod table;

pub(crate) use columns::{Column, column};
pub(crate) use error::OutputError;
pub(crate) use options::{ListOutput, ShowOutput};
pub(crate) use stderr::write_stderr;
pub(crate) use stdout::{printable, write_bytes};
