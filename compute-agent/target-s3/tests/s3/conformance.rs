//! The suite of all targets.

use agent_target::conformance;

use crate::site::target;
use tests_s3_server::{Habits, Server};

fn keeps_the_contract(habits: Habits) {
    conformance::run(|| {
        let server = Server::start(habits);
        (target(server.address), server)
    });
}

#[test]
fn it_keeps_the_contract() {
    keeps_the_contract(Habits::default());
}

#[test]
fn it_keeps_the_contract_without_deleting_many_at_once() {
    keeps_the_contract(Habits {
        has_no_batch_delete: true,
        ..Habits::default()
    });
}
