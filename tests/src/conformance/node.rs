//! A node under test, and the requests that it makes.

use scheduler_core::lease::{LeaseToken, Proof, Steal};
use scheduler_core::run::Claim;
use scheduler_core::store::{
    Acquire, ClaimWish, Exchange, Heartbeat, NodeInfo, Part, Reconcile, Register, Resync, Settled,
};
use scheduler_core::{Generation, NodeName, QueueName, SessionId};

use super::{LEASE, SESSION, name};

/// A node: its session, and the numbers of what it asked for last.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its session.
    pub session: SessionId,
    /// The number of its last exchange.
    pub request: u64,
    /// The number of its last heartbeat.
    pub beat: u64,
    /// The generation that it takes part in.
    pub generation: Generation,
    /// The number of its session.
    pub number: u64,
}

impl Node {
    /// A node that has not registered yet.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            request: 0,
            beat: 0,
            generation: Generation(1),
            number: 0,
        }
    }

    /// What it tells a store that lost its latest writes: all at once.
    #[must_use]
    pub fn reconcile(&self, claims: Vec<Claim>) -> Reconcile {
        Reconcile {
            session: self.session.clone(),
            ttl: SESSION,
            info: self.register().info,
            generation: self.generation,
            number: self.number,
            floor: 0,
            claims,
            part: Part::Last,
        }
    }

    /// The request that begins its session.
    #[must_use]
    pub fn register(&self) -> Register {
        Register {
            session: self.session.clone(),
            ttl: SESSION,
            info: NodeInfo {
                node: name::<NodeName>(self.session.node()),
                host: "host".to_owned(),
                pid: 1,
                carillon: "0.1.0".to_owned(),
                concurrency: 10,
                queues: vec![QueueName::default_queue()],
                weights: Vec::new(),
            },
        }
    }

    /// Its next heartbeat.
    pub fn heartbeat(&mut self) -> Heartbeat {
        self.beat += 1;
        Heartbeat {
            generation: self.generation,
            session: self.session.clone(),
            beat: self.beat,
            ttl: SESSION,
            running: 0,
        }
    }

    /// Its next exchange: hands in `settled`, and wants up to `limit` runs of the default queue.
    pub fn exchange(&mut self, settled: Vec<Settled>, limit: usize) -> Exchange {
        self.request += 1;
        let wish = ClaimWish::in_order(&[QueueName::default_queue()], limit);
        Exchange {
            generation: self.generation,
            session: self.session.clone(),
            lane: 0,
            request: self.request,
            floor: 0,
            settled,
            wish: (limit > 0).then_some(wish),
        }
    }

    /// Its next question for all that it holds.
    pub fn resync(&mut self) -> Resync {
        self.request += 1;
        Resync {
            generation: self.generation,
            session: self.session.clone(),
            lane: 0,
            request: self.request,
        }
    }

    /// The request for the lease.
    #[must_use]
    pub fn acquire(&self) -> Acquire {
        Acquire {
            session: self.session.clone(),
            ttl: LEASE,
            steal: None,
            floor: 0,
        }
    }
}

/// The wish to take the lease from a holder that stood still at this beat.
#[must_use]
pub fn stood_still(token: LeaseToken, beat: u64) -> Steal {
    Steal {
        token,
        proof: Proof::StoodStill { beat },
    }
}
