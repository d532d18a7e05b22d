//! What others may know of a node while it runs: whether it lives, and whether it takes part.

use std::sync::{Arc, Mutex, PoisonError};

use scheduler_core::SessionId;

use crate::node::session::Session;

/// Whether a node takes part in the cluster at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// It has a session, and its heartbeats are answered.
    Ready,
    /// It has not begun yet, or is between two sessions.
    Unregistered,
    /// Its last answered heartbeat is so long ago that it no longer trusts its session.
    Silent,
    /// It was told to stop: its handlers may end, and nothing new is begun.
    Draining,
    /// It has ended.
    Ended,
}

/// A look at a node from outside. Cheap to clone; never awaits.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus(Arc<Mutex<Stage>>);

/// Where a node stands in its life.
#[derive(Clone, Debug, Default)]
enum Stage {
    #[default]
    Unregistered,
    Live(Arc<Session>),
    Draining,
    Ended,
}

impl NodeStatus {
    /// Whether the node takes part at this moment.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        match &*self.stage() {
            Stage::Unregistered => Readiness::Unregistered,
            Stage::Live(session) if session.is_trusted() => Readiness::Ready,
            Stage::Live(_) => Readiness::Silent,
            Stage::Draining => Readiness::Draining,
            Stage::Ended => Readiness::Ended,
        }
    }

    /// The node's session, while it has one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match &*self.stage() {
            Stage::Live(session) => Some(session.id.clone()),
            _ => None,
        }
    }

    pub(crate) fn lives(&self, session: &Arc<Session>) {
        *self.stage() = Stage::Live(Arc::clone(session));
    }

    pub(crate) fn is_between_sessions(&self) {
        *self.stage() = Stage::Unregistered;
    }

    pub(crate) fn drains(&self) {
        *self.stage() = Stage::Draining;
    }

    pub(crate) fn has_ended(&self) {
        *self.stage() = Stage::Ended;
    }

    fn stage(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
