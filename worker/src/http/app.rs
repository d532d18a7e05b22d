//! What all handlers share.

use std::sync::Arc;

use scheduler_core::Store;

use crate::NodeStatus;

/// What is served: the store that all nodes share, and this node.
#[derive(Clone, Debug)]
pub struct App<S> {
    store: S,
    node: Arc<Node>,
}

#[derive(Debug)]
struct Node {
    status: NodeStatus,
}

impl<S: Store> App<S> {
    /// Serves this store, beside the node of this status.
    ///
    /// The store gets connections of its own, so that requests do not stand in the node's way.
    pub fn new(store: &S, status: NodeStatus) -> Self {
        Self {
            store: store.detached(),
            node: Arc::new(Node { status }),
        }
    }

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    pub(super) fn status(&self) -> &NodeStatus {
        &self.node.status
    }
}
