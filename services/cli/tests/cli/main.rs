//! The real program against a Keystone and an API that this test plays over HTTP.

// What clippy.toml lifts in test functions is lifted here for what they share, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod expected;
mod failures;
mod fixtures;
mod formats;
mod login;
mod names;
mod reference;
mod requests;
mod stub;
mod tls;
mod waiting;
mod workloadmgr;
