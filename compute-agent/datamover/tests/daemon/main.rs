//! `backstay-datamover` as it runs on a host, over a real RabbitMQ, as an unprivileged user.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail the test and say why"
)]

mod connections;
mod datamover;
mod freeze;
mod guest;
mod points;
mod rbd;
mod target;
mod transfer;
