//! The message bus of a deployment.

use agent_contract::amqp::{PrivateBroker, SharedBroker};

/// A broker that all tests share, or one that a test may kill.
pub(super) enum Bus {
    Shared(SharedBroker),
    Own(PrivateBroker),
}

impl Bus {
    pub(super) fn start(is_own: bool) -> Self {
        if is_own {
            Self::Own(PrivateBroker::start().unwrap())
        } else {
            Self::Shared(SharedBroker::of_this_run().unwrap())
        }
    }

    pub(super) fn transport_url(&self) -> String {
        match self {
            Self::Shared(broker) => broker.transport_url(),
            Self::Own(broker) => broker.transport_url(),
        }
    }

    pub(super) fn own(&mut self) -> &mut PrivateBroker {
        match self {
            Self::Own(broker) => broker,
            Self::Shared(_) => panic!("other tests use this broker"),
        }
    }
}
