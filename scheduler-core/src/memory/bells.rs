//! How waiters sleep, and how a step wakes them.
//!
//! A step runs under the store's lock; waking runs a waiter's executor, which may do anything. So a
//! step only notes down what to ring ([`Rings`]), and the handle rings once the lock is free.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use event_listener::{Event, EventListener};

use crate::id::QueueName;
use crate::store::Wake;

/// How many waiters one step wakes for one queue at most; whoever leaves runs behind wakes the next.
const MAX_WOKEN: usize = 8;

/// What a step wants to be rung.
#[derive(Debug, Default)]
pub(super) struct Rings {
    ready: BTreeMap<QueueName, usize>,
    leader: bool,
    lease: bool,
}

impl Rings {
    /// One more run waits in this queue.
    pub(super) fn ready(&mut self, queue: &QueueName) {
        *self.ready.entry(queue.clone()).or_default() += 1;
    }

    /// A job may be due earlier than the leader believes.
    pub(super) const fn leader(&mut self) {
        self.leader = true;
    }

    /// The lease was given back.
    pub(super) const fn lease(&mut self) {
        self.lease = true;
    }

    /// What has been noted down, leaving nothing.
    pub(super) fn take(&mut self) -> Self {
        mem::take(self)
    }
}

/// One bell per queue, and those of the leader and of standbys.
#[derive(Debug, Default)]
pub(super) struct Bells {
    ready: Mutex<HashMap<QueueName, Arc<Event>>>,
    leader: Event,
    lease: Event,
}

impl Bells {
    /// Rings what a step noted down. Each bell wakes one waiter per run, and no more.
    pub(super) fn ring(&self, rings: &Rings) {
        for (queue, runs) in &rings.ready {
            self.queue(queue).notify((*runs).min(MAX_WOKEN));
        }
        if rings.leader {
            self.leader.notify(1);
        }
        if rings.lease {
            self.lease.notify(1);
        }
    }

    /// Begins to listen: what is rung from now on is heard by [`first`].
    pub(super) fn listen(&self, wake: &Wake) -> Vec<EventListener> {
        match wake {
            Wake::Ready(queues) => queues.iter().map(|q| self.queue(q).listen()).collect(),
            Wake::Leader => vec![self.leader.listen()],
            Wake::Lease => vec![self.lease.listen()],
        }
    }

    fn queue(&self, queue: &QueueName) -> Arc<Event> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ready.entry(queue.clone()).or_default())
    }
}

/// Waits for the first of these listeners. Those that were woken besides pass it on to another
/// waiter when they are dropped, and so does this future.
pub(super) async fn first(mut listeners: Vec<EventListener>) {
    poll_fn(|context| {
        let rung = listeners
            .iter_mut()
            .any(|listener| Pin::new(listener).poll(context).is_ready());
        if rung { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn queues(names: &[&str]) -> Wake {
        Wake::Ready(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    fn ring(bells: &Bells, queue: &str, runs: usize) {
        let mut rings = Rings::default();
        for _ in 0..runs {
            rings.ready(&queue.parse().unwrap());
        }
        bells.ring(&rings);
    }

    fn is_woken(waiter: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        waiter.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn one_run_wakes_one_waiter_of_its_queue() {
        let bells = Bells::default();
        let mut both = pin!(first(bells.listen(&queues(&["a", "b"]))));
        let mut only_b = pin!(first(bells.listen(&queues(&["b"]))));
        let mut leader = pin!(first(bells.listen(&Wake::Leader)));
        assert!(!is_woken(&mut both) && !is_woken(&mut only_b));
        ring(&bells, "b", 1);
        assert!(is_woken(&mut both), "the one that has waited longest");
        assert!(!is_woken(&mut only_b) && !is_woken(&mut leader));
        ring(&bells, "b", 1);
        assert!(is_woken(&mut only_b));
    }

    #[test]
    fn who_gives_up_waiting_passes_the_wake_up_on() {
        let bells = Bells::default();
        let mut given_up = Box::pin(first(bells.listen(&queues(&["a"]))));
        let mut next = pin!(first(bells.listen(&queues(&["a"]))));
        assert!(!is_woken(&mut given_up.as_mut()) && !is_woken(&mut next));
        ring(&bells, "a", 1);
        drop(given_up);
        assert!(is_woken(&mut next));
    }

    #[test]
    fn a_bell_that_rings_between_looking_and_waiting_is_heard() {
        let bells = Bells::default();
        let listeners = bells.listen(&Wake::Leader);
        let mut rings = Rings::default();
        rings.leader();
        bells.ring(&rings.take());
        assert!(is_woken(&mut pin!(first(listeners))));
    }
}
