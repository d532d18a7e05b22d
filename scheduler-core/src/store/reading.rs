//! What people and programs read.

use crate::history::Record;
use crate::id::{JobId, QueueName, SessionId};
use crate::lease::LeaseToken;
use crate::store::NodeInfo;
use crate::time::Timestamp;

/// Which part of history to read.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Only of this job. Defaults to all.
    pub job: Option<JobId>,
    /// Onward from this position, oldest first; without it, the newest first.
    pub after: Option<String>,
    /// How many records at most.
    pub limit: usize,
}

/// One record, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When it was written, by the store's clock.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// The records, in the order that was asked for.
    pub entries: Vec<HistoryEntry>,
    /// The newest position that this page has seen, to go on from with `after`.
    pub position: String,
}

/// A node, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its session.
    pub session: SessionId,
    /// What it told of itself, as far as it could be read.
    pub info: Option<NodeInfo>,
    /// When its session began.
    pub since: Option<Timestamp>,
    /// When its session ends without another heartbeat, as a hint: see [`crate::session`].
    pub deadline: Timestamp,
    /// How many runs it is executing.
    pub running: usize,
    /// Whether it leads.
    pub leads: bool,
    /// Whether it was declared dead, and is being cleared up after.
    pub dead: bool,
}

/// One queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// The queue.
    pub queue: QueueName,
    /// How many runs wait in it.
    pub ready: u64,
}

/// The shard in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The store's clock at this moment.
    pub now: Timestamp,
    /// How many jobs are stored.
    pub jobs: u64,
    /// How many have a due time.
    pub scheduled: u64,
    /// How many are due.
    pub due: u64,
    /// How many runs are in flight: dispatched and not ended, waiting or claimed.
    pub busy: u64,
    /// Runs that wait for their next attempt.
    pub retries: u64,
    /// The queues.
    pub queues: Vec<QueueView>,
    /// Today's leader.
    pub leader: Option<LeaseToken>,
}
