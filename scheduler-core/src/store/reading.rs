//! What people and programs read.

use std::time::Duration;

use crate::history::{Became, Record};
use crate::id::{Fence, JobId, QueueName, RunId, SessionId};
use crate::lease::LeaseToken;
use crate::shard::ShardNumber;
use crate::store::NodeInfo;
use crate::time::Timestamp;

/// Which part of history to read.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Only of this job. Defaults to all. The newest first, these are just the records that the
    /// job's [policy](crate::HistoryPolicy) keeps, also those that are kept of this job alone.
    pub job: Option<JobId>,
    /// Only where this became of it. Defaults to whatever did.
    pub outcome: Option<Became>,
    /// Only of runs that this node had claimed. Defaults to all.
    pub node: Option<String>,
    /// Only what is about this fire time. Defaults to all.
    pub fire: Option<Timestamp>,
    /// Only what was written at this instant or after it. Defaults to all.
    ///
    /// Reading ends at the first record that is older by more than [`CLOCK_SLACK`]: what a clock
    /// that was set back by more wrote before is not found.
    pub since: Option<Timestamp>,
    /// Only what was written at this instant or before it. Defaults to all.
    pub until: Option<Timestamp>,
    /// Onward from this position, of a page or of a record, oldest first; without it, the newest first.
    /// `0` is before all that was ever written.
    pub after: Option<String>,
    /// With the newest first: only what is older than this position, which an earlier page gave as
    /// [`HistoryPage::older`], or as that of a record.
    pub before: Option<String>,
    /// How many records at most.
    pub limit: usize,
}

/// How far a store's clock may have been set back for its history to be found all the same.
pub const CLOCK_SLACK: Duration = Duration::from_secs(3600);

impl HistoryQuery {
    /// Whether a record is wanted.
    #[must_use]
    pub fn wants(&self, entry: &HistoryEntry) -> bool {
        let record = &entry.record;
        let node = match record {
            Record::Run(run) => Some(&run.node),
            Record::Skip(_) => None,
        };
        self.job.as_ref().is_none_or(|job| job == record.job())
            && self.outcome.as_ref().is_none_or(|is| is.is_said_by(record))
            && (self.node.is_none() || self.node.as_ref() == node)
            && self.fire.is_none_or(|fire| record.is_about(fire))
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at <= until)
    }

    /// Whether reading back may end here: all that is older was written before what is wanted.
    #[must_use]
    pub fn is_past(&self, at: Timestamp) -> bool {
        self.since
            .is_some_and(|since| at < since.before(CLOCK_SLACK))
    }
}

/// One record, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Where it stands: whoever reads onward from there, with [`HistoryQuery::after`], finds what was
    /// written later. Empty for one that is kept of its job alone.
    pub position: String,
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
    /// The newest position that this page has seen, to go on from with `after`. Onward, a page that
    /// has moved no further has come to the end.
    pub position: String,
    /// With the newest first: where to go on with `before`; none at the end. A page may hold fewer
    /// records than were asked for, or none, and not be the last: one call does a bounded amount of
    /// work.
    pub older: Option<String>,
    /// With the newest first, of one job: this page is the last because the job's policy keeps no
    /// more; the newest record that is not shown was written then.
    pub cut: Option<Timestamp>,
}

/// A run in flight, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInFlight {
    /// The run.
    pub run: RunId,
    /// Where it is.
    pub place: RunPlace,
}

/// Where a run in flight is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunPlace {
    /// Lined up behind others of its job.
    LinedUp {
        /// How many go before it.
        before: usize,
    },
    /// In a queue, or until its next attempt.
    Waiting,
    /// A session has claimed it.
    Claimed {
        /// The session.
        by: SessionId,
        /// The number of the attempt.
        attempt: u32,
        /// The number of the claim.
        fence: Fence,
    },
}

impl RunPlace {
    /// The session that has claimed the run, if one has.
    #[must_use]
    pub const fn claimed_by(&self) -> Option<&SessionId> {
        match self {
            Self::Claimed { by, .. } => Some(by),
            Self::LinedUp { .. } | Self::Waiting => None,
        }
    }

    /// The place as one word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LinedUp { .. } => "lined_up",
            Self::Waiting => "waiting",
            Self::Claimed { .. } => "running",
        }
    }
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
    /// Which shards it leads, where the namespace has several.
    pub led: Vec<ShardNumber>,
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
    /// When the run should have run that waits longest: of those that are next, one of each priority, the
    /// earliest. None where none waits.
    pub oldest: Option<Timestamp>,
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
    /// How many of these are lined up behind others of their job.
    pub lined_up: u64,
    /// Runs that wait for their next attempt.
    pub retries: u64,
    /// The queues.
    pub queues: Vec<QueueView>,
    /// Today's leaders: of each shard, in order.
    pub leaders: Vec<Option<LeaseToken>>,
}

impl Overview {
    /// Today's leader; of the first shard that has one, where there are several.
    #[must_use]
    pub fn leader(&self) -> Option<&LeaseToken> {
        self.leaders.iter().flatten().next()
    }
}
