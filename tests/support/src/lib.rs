//! What tests of several crates start and make: outside programs of their own, guards, builders.
//! Knows none of our crates that it helps to test.

mod mariadb;

pub use mariadb::MariaDb;
