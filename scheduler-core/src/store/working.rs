//! Requests and answers of a node that executes runs.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::Record;
use crate::id::{Fence, Generation, NodeName, QueueName, RunId, SessionId};
use crate::job::Job;
use crate::policy::Priority;
use crate::run::{Claim, Verdict};
use crate::store::Cancelled;
use crate::time::Timestamp;

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its name.
    pub node: NodeName,
    /// The host that it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Which version of Carillon it is.
    pub carillon: String,
    /// How many runs it executes at once.
    pub concurrency: u32,
    /// The queues that it serves.
    pub queues: Vec<QueueName>,
    /// How much of its slots belongs to each of them, compared with the others, in their order;
    /// empty where they are equal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<NonZeroU32>,
}

/// Begins a session.
#[derive(Clone, Debug)]
pub struct Register {
    /// Its name, never used before.
    pub session: SessionId,
    /// How long it lives without a heartbeat.
    pub ttl: Duration,
    /// Whose it is.
    pub info: NodeInfo,
}

/// A session has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The store's clock at this moment.
    pub now: Timestamp,
    /// The generation that it began in.
    pub generation: Generation,
    /// Its number, from the shard's counter: whether a store that lost its latest writes lost this
    /// session with them, or ended it.
    pub number: u64,
}

/// Shows that a session lives.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The session.
    pub session: SessionId,
    /// The number of this heartbeat, higher than that of each one that was sent before, answered or
    /// not.
    pub beat: u64,
    /// How long the session lives from now on without another.
    pub ttl: Duration,
    /// How many runs the node is executing.
    pub running: usize,
    /// The generation that the session takes part in.
    pub generation: Generation,
}

/// What a heartbeat found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartbeatAnswer {
    /// The session lives.
    Alive {
        /// The store's clock at this moment.
        now: Timestamp,
        /// How many claims the session holds.
        claims: usize,
        /// Those of them that somebody has cancelled.
        cancelled: Vec<Cancelled>,
    },
    /// The session is over, and all its claims with it.
    Gone,
    /// The store is in another generation: the session must [reconcile](crate::Shard::reconcile).
    /// Nothing was done.
    Behind,
}

/// A claimed run that is to be settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The claim.
    pub claim: Claim,
    /// What becomes of the run.
    pub verdict: Verdict,
    /// What to write into history, if anything.
    pub record: Option<Record>,
    /// Where the run ends as a failure: its definition, to be kept with the record among the failed
    /// runs. Without it, it is not kept.
    pub definition: Option<Job>,
}

/// What a node would like to claim: at most [`MAX_CLAIMED`] runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimWish {
    /// From where, one after the other. What is named again is asked again: first for its share,
    /// say, and then for what others left over. See [`crate::share`].
    pub takes: Vec<Take>,
    /// At most so many runs in all.
    pub limit: usize,
}

/// How many runs one request claims at most.
pub const MAX_CLAIMED: usize = 500;

/// Runs of one queue and priority that a node would like to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The queue.
    pub queue: QueueName,
    /// Which of its runs.
    pub priority: Priority,
    /// At most so many.
    pub most: usize,
}

impl ClaimWish {
    /// All that waits in the first queue, then in the second, and so on; in each the high
    /// priorities first, and nothing kept for the low ones.
    #[must_use]
    pub fn in_order(queues: &[QueueName], limit: usize) -> Self {
        let takes = |queue: &QueueName| {
            Priority::ALL.map(|priority| Take {
                queue: queue.clone(),
                priority,
                most: limit,
            })
        };
        Self {
            takes: queues.iter().flat_map(takes).collect(),
            limit,
        }
    }

    /// The queues that it names, each once, in the order in which it does.
    #[must_use]
    pub fn queues(&self) -> Vec<&QueueName> {
        let mut queues = Vec::new();
        for take in &self.takes {
            if !queues.contains(&&take.queue) {
                queues.push(&take.queue);
            }
        }
        queues
    }
}

/// Hands in settled runs and claims new ones.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The caller's session.
    pub session: SessionId,
    /// Which of the session's lanes: one request of a lane is under way at a time.
    pub lane: u16,
    /// The number of the request in its lane, rising.
    pub request: u64,
    /// The highest number from the shard's counter that the caller has seen.
    pub floor: u64,
    /// The generation that the session takes part in.
    pub generation: Generation,
    /// Runs to settle.
    pub settled: Vec<Settled>,
    /// What to claim.
    pub wish: Option<ClaimWish>,
}

/// What became of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeAnswer {
    /// It was done.
    Exchanged(Exchanged),
    /// The session is over. Nothing was done.
    Gone,
    /// A later request of this lane was done before. Nothing was done.
    Superseded,
    /// The store is in another generation: the session must [reconcile](crate::Shard::reconcile).
    /// Nothing was done.
    Behind,
}

/// What an exchange brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Runs to execute.
    pub claims: Vec<Claim>,
    /// Runs that were handed in under a claim that was no longer the caller's.
    pub stale: Vec<RunId>,
}

/// Writes down that handlers are about to be called.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The caller's session.
    pub session: SessionId,
    /// The claims, at most 500: runs, and the fences under which they are held.
    pub claims: Vec<(RunId, Fence)>,
    /// The generation that the session takes part in.
    pub generation: Generation,
}

/// What became of writing that down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginAnswer {
    /// All are marked but these, which the session does not hold (any more).
    Begun {
        /// Runs that must not be begun.
        stale: Vec<RunId>,
    },
    /// The session is over. Nothing was done.
    Gone,
    /// The store is in another generation: the session must [reconcile](crate::Shard::reconcile).
    /// Nothing was done.
    Behind,
}

/// Asks for all claims of a session.
#[derive(Clone, Debug)]
pub struct Resync {
    /// The session.
    pub session: SessionId,
    /// The lane whose earlier requests become void.
    pub lane: u16,
    /// The number of the request in its lane.
    pub request: u64,
    /// The generation that the session takes part in.
    pub generation: Generation,
}

/// What a session holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResyncAnswer {
    /// These claims.
    Claims(Vec<Claim>),
    /// Nothing: it is over.
    Gone,
    /// A later request of this lane was done before.
    Superseded,
    /// The store is in another generation: the session must [reconcile](crate::Shard::reconcile).
    Behind,
}

/// How many claims one request of a session that reconciles names at most.
pub const MAX_NAMED: usize = 200;

/// Tells a store that lost its latest writes what a session holds.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// The session.
    pub session: SessionId,
    /// How long it lives without a heartbeat.
    pub ttl: Duration,
    /// Whose it is.
    pub info: NodeInfo,
    /// The generation that it took part in last.
    pub generation: Generation,
    /// Its number, as registering answered.
    pub number: u64,
    /// The highest number from the shard's counter that the caller has seen.
    pub floor: u64,
    /// Claims, at most [`MAX_NAMED`]: those that it holds, and those of runs that it handed in
    /// lately; see [`named`](crate::failover::named).
    pub claims: Vec<Claim>,
    /// Whether others follow.
    pub part: Part,
}

/// Which of a session's requests to reconcile it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Others follow.
    More,
    /// The last: with it the session takes part in the generation.
    Last,
}

/// What became of reconciling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcileAnswer {
    /// The session holds all named claims but these.
    Reconciled {
        /// The generation that the store is in.
        generation: Generation,
        /// Claims that are the session's no more.
        over: Vec<Fence>,
    },
    /// The session is over, and all its claims with it.
    Gone,
}
