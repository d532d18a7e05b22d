//! How an attempt can end.

use std::time::Duration;

/// How an attempt ended, seen by whoever saw it end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The handler returned, perhaps with something to keep.
    Succeeded(Option<String>),
    /// The handler returned an error, which another attempt may get past.
    Failed(String),
    /// The handler returned an error, and said when another attempt may get past it.
    RetryAfter {
        /// The error.
        error: String,
        /// How long to wait, in place of what the job's policy says.
        after: Duration,
    },
    /// The handler returned an error that no other attempt gets past.
    FailedForGood(String),
    /// The handler put the run off: this attempt does not count.
    Snoozed {
        /// For how long.
        after: Duration,
        /// Why, if it said so.
        why: Option<String>,
    },
    /// The handler panicked.
    Panicked(String),
    /// The handler took longer than the job allows.
    TimedOut {
        /// How long it may take.
        limit: Duration,
        /// What the handler said when it was told to stop.
        last_words: Option<String>,
    },
    /// Somebody cancelled the run.
    Cancelled {
        /// Who, and why.
        reason: String,
        /// What the handler said when it was told to stop.
        last_words: Option<String>,
    },
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

impl Ending {
    /// What to keep of it in history, for people.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Succeeded(output) => output.clone(),
            Self::Failed(error) | Self::FailedForGood(error) | Self::RetryAfter { error, .. } => {
                Some(error.clone())
            }
            Self::Snoozed { why: None, .. } => Some("put off by its handler".to_owned()),
            Self::Snoozed { why: Some(why), .. } => Some(format!("put off by its handler: {why}")),
            Self::Panicked(message) => Some(format!("panicked: {message}")),
            Self::TimedOut { limit, last_words } => {
                let limit = humantime::format_duration(*limit);
                Some(told(
                    format!("stopped after its timeout of {limit}"),
                    last_words,
                ))
            }
            Self::Cancelled { reason, last_words } => Some(told(reason.clone(), last_words)),
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

fn told(what: String, last_words: &Option<String>) -> String {
    match last_words {
        Some(words) => format!("{what}: {words}"),
        None => what,
    }
}
