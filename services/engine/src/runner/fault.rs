//! Faults that tests put into flows: every step made to fail, every step run twice.

use services_types::FlowKind;

/// What is to go wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In flows of this kind.
    pub flow: FlowKind,
    /// At the step of this name.
    pub step: String,
    /// What happens there.
    pub effect: Effect,
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Instead of running, the step fails.
    Fail,
    /// The step is run twice, and if it is undone, that is done twice as well.
    Repeat,
}
