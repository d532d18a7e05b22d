//! Runs: one execution of a job for one fire time, in one or more attempts.
//!
//! ```text
//!             claim                  settle: End
//!   waiting ---------> claimed ------------------------> ended (history)
//!      ^                  |
//!      |  GiveBack, Again |   (Again waits for its time first)
//!      +------------------+
//! ```
//!
//! Each claim is an *attempt*, numbered from 1. Attempts that were lost with their nodes count
//! towards `max_lost`, all others towards `retry.max_attempts`; one that the handler put off
//! ([`Ending::Snoozed`]) counts towards nothing, and is made again under the same number.
//!
//! # At most once
//!
//! A run of a job with [`Delivery::AtMostOnce`](crate::policy::Delivery) is *begun* by a mark in its
//! claim, which the store has acknowledged before the handler is called. Whoever clears up after a
//! node goes by that mark alone: a begun run is lost, and one that was not goes back. So the mark is
//! never taken back, and an answer that is missing means that the handler is not called: the node
//! asks again until it knows, or gives the run back, which it may, since it knows what it did not do.
//!
//! # Cancelling
//!
//! Somebody who cancels a run does not know where it is, and it may move meanwhile. So a *mark*
//! comes first, and whoever has the run next goes by it:
//!
//! | the run | who sees the mark |
//! |---|---|
//! | waits in a ready queue | the claim that would take it: it ends there, and takes no slot |
//! | waits for its next attempt | the cancelling itself: it ends at once |
//! | is promoted, just then | the claim, since the mark is written in any case |
//! | is executed | its node, with the answer to its next heartbeat; the handler's token fires |
//! | is handed in to be tried again, given back or put off, before its node heard | the hand-in: it ends there |
//! | is handed in as ended, before its node heard | nobody: what was done was done, and counts |
//! | is held by a dead session | the sweeper's settling, as with a hand-in |
//!
//! The mark goes with the run's end, whatever that is; so a mark is never found for a run that is
//! over, and none can meet a later run (no id is given twice).
//!
//! A run waits in a ready queue, is claimed by one node's session under a fence, and ends, or goes
//! back. How an attempt can end is [`Ending`]; what becomes of the run then is decided here, by
//! [`settle`], and only moved by the store.

mod ending;
mod settle;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::ending::Ending;
pub use self::settle::{LONGEST_DELAY, UNKNOWN_TASK_DELAY, pause, settle};
use crate::id::{Fence, QueueName, RunId, Version};
use crate::policy::Priority;

/// A run that waits for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRun {
    /// The run.
    pub run: RunId,
    /// The number of the attempt that it waits for, from 1.
    pub attempt: u32,
    /// The definition that it was bound to at its first claim; none before that.
    pub version: Option<Version>,
    /// How many of its attempts were lost with their nodes.
    pub losses: u32,
    /// Which of its queue's runs it waits with.
    pub priority: Priority,
}

/// A node's right to execute one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// The number of this claim: greater than that of each earlier claim of the shard.
    pub fence: Fence,
    /// The definition to execute.
    pub version: Version,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How many earlier attempts were lost with their nodes.
    pub losses: u32,
    /// The queue that it came from.
    pub queue: QueueName,
    /// Which of the queue's runs it waited with, and waits with if it goes back.
    pub priority: Priority,
    /// Whether this very claim bound the run to its definition.
    pub fresh: bool,
    /// Whether it was written down, before the handler was, that it begins: only where the job runs
    /// at most once.
    pub begun: bool,
}

/// What became of a run, or of one attempt of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler succeeded.
    Succeeded,
    /// The handler failed, for the last time that the job allows.
    Failed,
    /// The handler took longer than the job allows, for the last time that the job allows.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// It had failed before, and somebody has it run again, as another run.
    Rerun,
    /// Its node was lost, and the job does not want another attempt (or not yet another).
    Lost,
    /// The attempt did not succeed; another follows.
    Retrying,
    /// The job was removed before the run was begun.
    Removed,
    /// The job's record could not be read.
    Unreadable,
}

impl Outcome {
    /// The outcome as one word, as history shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Rerun => "rerun",
            Self::Lost => "lost",
            Self::Retrying => "retrying",
            Self::Removed => "removed",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Outcome {
    /// Whether a run that ended so is kept among the failed ones, for somebody to look at.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Lost)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What to do with a run whose attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The run is over.
    End(Outcome),
    /// It waits for another attempt.
    Again {
        /// How long, at least.
        after: Duration,
        /// The number of that attempt.
        attempt: u32,
        /// How many attempts were lost with their nodes until then.
        losses: u32,
    },
    /// It goes back to the head of its queue, as if it had never been claimed.
    GiveBack,
    /// This node cannot execute it: it waits a while for another. A run that was never begun is
    /// bound anew then, so that correcting or removing the job helps.
    Defer {
        /// How long, at least; never zero.
        after: Duration,
    },
}

impl Claim {
    /// The run, waiting for this attempt, bound as it is.
    #[must_use]
    pub fn waiting(&self, attempt: u32, losses: u32) -> WaitingRun {
        WaitingRun {
            run: self.run.clone(),
            attempt,
            version: Some(self.version),
            losses,
            priority: self.priority,
        }
    }

    /// The run, waiting for this very attempt again: bound as it is, or, if this claim was the one
    /// that bound it, to be bound anew.
    #[must_use]
    pub fn deferred(&self) -> WaitingRun {
        WaitingRun {
            version: (!self.fresh).then_some(self.version),
            ..self.waiting(self.attempt, self.losses)
        }
    }
}
