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
//! A run waits in a ready queue, is claimed by one node's session under a fence, and ends, or goes
//! back. How an attempt can end is [`Ending`]; what becomes of the run then is decided here, by
//! [`settle`], and only moved by the store.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Fence, QueueName, RunId, Version};
use crate::policy::{OnLost, Policy, Priority};

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
}

/// How an attempt ended, seen by whoever saw it end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The handler returned, perhaps with something to keep.
    Succeeded(Option<String>),
    /// The handler returned an error.
    Failed(String),
    /// The handler panicked.
    Panicked(String),
    /// The node shut down before the handler was begun.
    NotBegun,
    /// The node shut down, and its grace ended before the handler did.
    Interrupted,
    /// The node could no longer prove that the claim was its own, and stopped the handler.
    TrustLost,
    /// The node's session expired with the claim in it.
    NodeLost,
    /// The node has no such task (in a rolling deploy another may).
    UnknownTask(String),
    /// The job was removed before the run was begun, and its definition with it.
    DefinitionGone,
    /// The job's record could not be read.
    DefinitionUnreadable(String),
}

/// What became of a run, or of one attempt of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler succeeded.
    Succeeded,
    /// The handler failed.
    Failed,
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
            Self::Lost => "lost",
            Self::Retrying => "retrying",
            Self::Removed => "removed",
            Self::Unreadable => "unreadable",
        }
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

/// How long a run waits before another node is tried, where this one has no such task.
pub const UNKNOWN_TASK_DELAY: Duration = Duration::from_secs(1);

/// Decides what becomes of a claimed run whose attempt has ended so.
#[must_use]
pub fn settle(policy: &Policy, claim: &Claim, ending: &Ending) -> Verdict {
    match ending {
        Ending::Succeeded(_) => Verdict::End(Outcome::Succeeded),
        Ending::Failed(_) | Ending::Panicked(_) => Verdict::End(Outcome::Failed),
        Ending::NotBegun => Verdict::GiveBack,
        Ending::Interrupted | Ending::TrustLost | Ending::NodeLost => lost(policy, claim),
        Ending::UnknownTask(_) => Verdict::Defer {
            after: UNKNOWN_TASK_DELAY,
        },
        Ending::DefinitionGone => Verdict::End(Outcome::Removed),
        Ending::DefinitionUnreadable(_) => Verdict::End(Outcome::Unreadable),
    }
}

fn lost(policy: &Policy, claim: &Claim) -> Verdict {
    let losses = claim.losses.saturating_add(1);
    match policy.on_lost {
        OnLost::Retry if losses < policy.max_lost.get() => Verdict::Again {
            after: Duration::ZERO,
            attempt: claim.attempt.saturating_add(1),
            losses,
        },
        OnLost::Retry | OnLost::Fail => Verdict::End(Outcome::Lost),
    }
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

    /// The run, waiting for this very attempt again: bound as it is, or, if this was the first
    /// attempt, to be bound anew.
    #[must_use]
    pub fn deferred(&self) -> WaitingRun {
        WaitingRun {
            version: (self.attempt > 1).then_some(self.version),
            ..self.waiting(self.attempt, self.losses)
        }
    }
}

impl Ending {
    /// What to keep of it in history, for people.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Succeeded(output) => output.clone(),
            Self::Failed(error) => Some(error.clone()),
            Self::Panicked(message) => Some(format!("panicked: {message}")),
            Self::NotBegun => None,
            Self::Interrupted => Some("the node shut down before the handler had ended".to_owned()),
            Self::TrustLost => Some(
                "the node could not renew its session in time and stopped the handler".to_owned(),
            ),
            Self::NodeLost => Some("the node died, or froze past its session's ttl".to_owned()),
            Self::UnknownTask(task) => Some(format!("this node has no task {task:?}")),
            Self::DefinitionGone => Some("the job was removed before the run was begun".to_owned()),
            Self::DefinitionUnreadable(why) => Some(why.clone()),
        }
    }
}
