//! What a node tells its listeners: the process that embeds it, and tests, which wait for what
//! happened in place of sleeping.

use std::time::Duration;

use scheduler_core::run::Verdict;
use scheduler_core::{Epoch, Fence, RunId, SessionId};
use tokio::sync::broadcast;

/// Something that happened on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The node began a session.
    Registered {
        /// The session.
        session: SessionId,
    },
    /// The node leads from now on.
    LeaseWon {
        /// The number of its lease.
        epoch: Epoch,
    },
    /// The node no longer leads, and did not mean to stop.
    LeaseLost {
        /// The number of the lease that it had.
        epoch: Epoch,
    },
    /// The node gave the lease back.
    LeaseReleased {
        /// The number of the lease that it had.
        epoch: Epoch,
    },
    /// The node settled due fire times, as leader.
    Dispatched {
        /// How many runs it made.
        runs: usize,
        /// How many stretches of skipped fire times it recorded.
        skips: usize,
    },
    /// A handler was begun.
    RunBegun {
        /// The run.
        run: RunId,
        /// The number of the attempt.
        attempt: u32,
        /// The claim that it runs under.
        fence: Fence,
    },
    /// The store took in what becomes of a run that this node had claimed.
    RunEnded {
        /// The run.
        run: RunId,
        /// The number of the attempt.
        attempt: u32,
        /// What becomes of it.
        verdict: Verdict,
    },
    /// The node could not renew its session in time, and stopped its handlers.
    TrustLost {
        /// The session.
        session: SessionId,
    },
    /// The node's session turned out to live still.
    TrustResumed {
        /// The session.
        session: SessionId,
    },
    /// The node's session is over; it begins another.
    SessionGone {
        /// The session.
        session: SessionId,
    },
    /// The node declared another node's session dead.
    SessionFenced {
        /// The session.
        session: SessionId,
    },
    /// The node settled claims of a dead session.
    Recovered {
        /// The dead session.
        session: SessionId,
        /// How many claims.
        claims: usize,
    },
    /// The node has shut down in order.
    ShutDown,
}

/// How many events a listener may lie behind before it misses some.
const CAPACITY: usize = 4096;

/// Where a node tells its events.
#[derive(Clone, Debug)]
pub(crate) struct EventSender(broadcast::Sender<Event>);

impl EventSender {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Tells an event, which is not even made where nobody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // Listeners may have gone meanwhile: then nobody misses it.
            let _ = self.0.send(event());
        }
    }

    pub(crate) fn listen(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// The events of a node, from the moment this was made. A slow listener misses the oldest.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; none once the node is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Waits for the first event that `wanted` makes something of; none where the node is gone, or
    /// `limit` has passed, before there was one.
    pub async fn find<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Option<T> {
        let search = async {
            loop {
                if let Some(found) = wanted(&self.next().await?) {
                    return Some(found);
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }
}
