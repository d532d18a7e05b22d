//! Events, for the process that embeds a node, and for whoever watches the cluster.
//!
//! There are two ways to hear them. A node's own ([`Scheduler::events`](crate::Scheduler::events)) come
//! from within the process: none is lost on the way, and tests wait for them in place of sleeping. Those
//! of the cluster ([`Scheduler::cluster_events`](crate::Scheduler::cluster_events)) come through the
//! store's channel: from all nodes, and from whoever changes jobs.
//!
//! | it happened | and is heard as |
//! |---|---|
//! | a node starts, shuts down | [`Event::SchedulerStarted`], [`Event::SchedulerShutDown`] |
//! | the namespace, or a queue, is paused, resumed | [`Event::SchedulerPaused`], [`Event::SchedulerResumed`], [`Event::QueuePaused`], [`Event::QueueResumed`] |
//! | a job is added, modified, paused, resumed, removed, or over | [`Event::JobAdded`] and so on |
//! | a run is dispatched, or asked for | [`Event::RunSubmitted`] |
//! | its handler is called | [`Event::RunStarted`] |
//! | an attempt ends: succeeded, failed, timed out, cancelled, lost, retrying, ... | [`Event::Ended`], with the record |
//! | a fire time becomes no run: misfired, max instances, coalesced, paused, ... | [`Event::Skipped`], with the record |
//! | the lease is won, lost, given back | [`Event::LeaseWon`], [`Event::LeaseLost`], [`Event::LeaseReleased`] |
//! | a session begins, is in doubt, dies | [`Event::Registered`], [`Event::TrustLost`], [`Event::SessionFenced`] and so on |
//!
//! Changes of jobs and pauses of the namespace are heard through the cluster's events alone, for they
//! are nobody's in particular.
//!
//! No event is a promise: history is the record. A listener that is slow or cut off misses some, and
//! hears of that as [`Event::Unheard`]. `run_submitted` and `run_started` are told to the cluster only
//! where somebody listens, which nodes see within half a second.

mod announcer;
mod cluster;

use std::time::Duration;

pub use scheduler_core::event::Event;
use tokio::sync::broadcast;

pub(crate) use announcer::Announcer;
use announcer::Outbox;
pub use cluster::{ClusterEvents, listen};

/// How many events a listener may lie behind before it misses some.
const CAPACITY: usize = 4096;

/// Where a node tells its events.
#[derive(Debug)]
pub(crate) struct EventSender {
    here: broadcast::Sender<Event>,
    /// What goes out to the cluster.
    outbox: Outbox,
}

impl EventSender {
    pub(crate) fn new() -> Self {
        Self {
            here: broadcast::Sender::new(CAPACITY),
            outbox: Outbox::default(),
        }
    }

    /// Tells an event of the node's life, of which there are few.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.is_heard_here() || self.outbox.is_open() {
            self.send(event());
        }
    }

    /// Tells an event of a run, which is not even made where nobody listens.
    pub(crate) fn tell_of_run(&self, event: impl FnOnce() -> Event) {
        if self.is_heard_here() || self.outbox.is_wanted() {
            self.send(event());
        }
    }

    /// Tells of a record, which the store tells the cluster.
    pub(crate) fn tell_of_record(&self, event: impl FnOnce() -> Event) {
        if self.is_heard_here() {
            // Listeners may have gone meanwhile: then nobody misses it.
            let _ = self.here.send(event());
        }
    }

    fn send(&self, event: Event) {
        self.outbox.put(&event);
        let _ = self.here.send(event);
    }

    fn is_heard_here(&self) -> bool {
        self.here.receiver_count() > 0
    }

    pub(crate) fn listen(&self) -> Events {
        Events(self.here.subscribe())
    }
}

/// The events of a node, from the moment this was made. A slow listener misses the oldest.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; none once the node is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Unheard),
            Err(broadcast::error::RecvError::Closed) => None,
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
