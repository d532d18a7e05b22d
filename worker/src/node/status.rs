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
#[derive(Clone, Debug)]
enum Stage {
    /// With its session in each shard, where it has one.
    Living(Vec<Option<Arc<Session>>>),
    Draining,
    Ended,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Living(Vec::new())
    }
}

impl NodeStatus {
    /// Whether the node takes part at this moment. With several shards: whether it has a session in each
    /// of them, and trusts one at least; where the others' stores are away, there is work to do still.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        match &*self.stage() {
            Stage::Living(sessions) if sessions.is_empty() => Readiness::Unregistered,
            Stage::Living(sessions) if sessions.iter().any(Option::is_none) => {
                Readiness::Unregistered
            }
            Stage::Living(sessions) => {
                let mut sessions = sessions.iter().flatten();
                match sessions.any(|session| session.is_trusted()) {
                    true => Readiness::Ready,
                    false => Readiness::Silent,
                }
            }
            Stage::Draining => Readiness::Draining,
            Stage::Ended => Readiness::Ended,
        }
    }

    /// The node's session, while it has one; in the first shard, where there are several.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match &*self.stage() {
            Stage::Living(sessions) => {
                let first = sessions.first()?.as_ref()?;
                Some(first.id.clone())
            }
            _ => None,
        }
    }

    /// The node begins to live in so many shards.
    pub(crate) fn begins(&self, shards: usize) {
        *self.stage() = Stage::Living(vec![None; shards]);
    }

    pub(crate) fn lives(&self, shard: usize, session: &Arc<Session>) {
        self.set(shard, Some(Arc::clone(session)));
    }

    pub(crate) fn is_between_sessions(&self, shard: usize) {
        self.set(shard, None);
    }

    fn set(&self, shard: usize, session: Option<Arc<Session>>) {
        if let Stage::Living(sessions) = &mut *self.stage()
            && let Some(place) = sessions.get_mut(shard)
        {
            *place = session;
        }
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
