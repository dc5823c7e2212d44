//! A flow as its list of steps, in order.

use std::sync::Arc;

use serde_json::Value;
use services_types::FlowKind;
use steno::{Action, ActionRegistry, DagBuilder, DagBuilderError, Node, SagaDag, SagaName};

use super::step::{FlowSaga, Step, StepAction};

/// The steps of one kind of flow. Each runs when the one before it is done; they are undone in the
/// opposite order.
pub(crate) struct Steps {
    kind: FlowKind,
    names: Vec<&'static str>,
    nodes: Vec<Node>,
    registry: ActionRegistry<FlowSaga>,
}

impl Steps {
    pub(crate) fn of(kind: FlowKind) -> Self {
        Self {
            kind,
            names: Vec::new(),
            nodes: Vec::new(),
            registry: ActionRegistry::new(),
        }
    }

    pub(crate) fn then<S: Step>(mut self, step: S) -> Self {
        let action: Arc<dyn Action<FlowSaga>> = Arc::new(StepAction(step));
        self.names.push(S::NAME);
        self.nodes.push(Node::action(S::NAME, S::NAME, &*action));
        self.registry.register(action);
        self
    }

    /// Names of the steps, in order.
    pub(crate) fn names(self) -> Vec<&'static str> {
        self.names
    }

    /// The graph that is saved with a new flow, and the code behind its nodes.
    pub(crate) fn build(
        self,
    ) -> Result<(Arc<SagaDag>, Arc<ActionRegistry<FlowSaga>>), DagBuilderError> {
        let mut graph = DagBuilder::new(SagaName::new(self.kind.as_str()));
        for node in self.nodes {
            graph.append(node);
        }
        // Steps read the request from the claim, which outlives any saved graph.
        Ok((
            Arc::new(SagaDag::new(graph.build()?, Value::Null)),
            Arc::new(self.registry),
        ))
    }
}
