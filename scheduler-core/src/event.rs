//! Events: what just happened, told to whoever listens at that moment.
//!
//! An event is for listeners, the [history](crate::history) for the record: events are told at most
//! once and kept by nobody, and a listener that was away has missed what happened meanwhile.
//! A cluster's events go through its store, each as one line of JSON. What is recorded is told as
//! the very line of its record ([`Event::Ended`], [`Event::Skipped`]) in the step that writes it;
//! anything else by who did it, once it is done, and has its name in the field `event`:
//!
//! ```
//! use scheduler_core::event::Event;
//!
//! let line = r#"{"event":"lease_won","node":"web-1","epoch":7}"#;
//! let event = Event::from_line(line)?;
//! assert_eq!((event.word(), event.to_line().as_str()), ("lease_won", line));
//!
//! let line = r#"{"run":"report@1767225600000","outcome":"succeeded","attempt":1,"queue":"default"}"#;
//! assert_eq!(Event::from_line(line)?.word(), "succeeded");
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};

use crate::history::{Record, RunRecord, SkipRecord};
use crate::id::{Epoch, Fence, JobId, NodeName, QueueName, RunId, SessionId, Version};
use crate::queue::HoldNote;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    // ----- the scheduler --------------------------------------------------------------------
    /// A node began to take part.
    SchedulerStarted {
        /// The node.
        node: NodeName,
    },
    /// A node has shut down in order.
    SchedulerShutDown {
        /// The node.
        node: NodeName,
    },
    /// Somebody paused the namespace.
    SchedulerPaused {
        /// Who, and why.
        #[serde(flatten)]
        note: HoldNote,
    },
    /// Somebody ended the namespace's pause.
    SchedulerResumed,
    /// Somebody paused a queue.
    QueuePaused {
        /// The queue.
        queue: QueueName,
        /// Who, and why.
        #[serde(flatten)]
        note: HoldNote,
    },
    /// Somebody ended a queue's pause.
    QueueResumed {
        /// The queue.
        queue: QueueName,
    },

    // ----- jobs -----------------------------------------------------------------------------
    /// A job was added.
    JobAdded {
        /// The job.
        job: JobId,
        /// Its version.
        version: Version,
    },
    /// A job was replaced, modified, rescheduled, or brought back from being set aside.
    JobModified {
        /// The job.
        job: JobId,
        /// Its version from now on.
        version: Version,
    },
    /// A job was paused, or its pause changed.
    JobPaused {
        /// The job.
        job: JobId,
        /// Its version from now on.
        version: Version,
    },
    /// A job's pause ended.
    JobResumed {
        /// The job.
        job: JobId,
        /// Its version from now on.
        version: Version,
    },
    /// Somebody removed a job.
    JobRemoved {
        /// The job.
        job: JobId,
    },
    /// A job's schedule is over and its last run has ended: it left the store, unless it is to be
    /// kept. A job that follows another and has no schedule of its own never finishes.
    JobFinished {
        /// The job.
        job: JobId,
    },

    // ----- runs -----------------------------------------------------------------------------
    /// A run was made: of a fire time that came, or because somebody asked for it.
    RunSubmitted {
        /// The run.
        run: RunId,
    },
    /// A handler is about to be called.
    RunStarted {
        /// The node.
        node: NodeName,
        /// The run.
        run: RunId,
        /// The number of the attempt.
        attempt: u32,
        /// The claim that it runs under.
        fence: Fence,
    },
    /// A node gave a run back that it had claimed, without a record of that: it waits as before.
    RunReturned {
        /// The node.
        node: NodeName,
        /// The run.
        run: RunId,
        /// The number of the attempt.
        attempt: u32,
    },

    // ----- leading --------------------------------------------------------------------------
    /// A node leads from now on.
    LeaseWon {
        /// The node.
        node: NodeName,
        /// The number of its lease.
        epoch: Epoch,
    },
    /// A node no longer leads, and did not mean to stop.
    LeaseLost {
        /// The node.
        node: NodeName,
        /// The number of the lease that it had.
        epoch: Epoch,
    },
    /// A node gave the lease back.
    LeaseReleased {
        /// The node.
        node: NodeName,
        /// The number of the lease that it had.
        epoch: Epoch,
    },

    // ----- sessions -------------------------------------------------------------------------
    /// A node began a session.
    Registered {
        /// The session.
        session: SessionId,
    },
    /// A node could not renew its session in time, and stopped its handlers.
    TrustLost {
        /// The session.
        session: SessionId,
    },
    /// A node's session turned out to live still.
    TrustResumed {
        /// The session.
        session: SessionId,
    },
    /// A node's session is over; it begins another.
    SessionGone {
        /// The session.
        session: SessionId,
    },
    /// A node declared another node's session dead.
    SessionFenced {
        /// The dead session.
        session: SessionId,
        /// Who says so.
        by: NodeName,
    },
    /// A node settled claims of a dead session.
    Recovered {
        /// The dead session.
        session: SessionId,
        /// How many claims.
        claims: usize,
        /// Who did so.
        by: NodeName,
    },

    // ----- listening ------------------------------------------------------------------------
    /// The listener was cut off for a while: what happened meanwhile it has not heard. Told by the
    /// listener's own side.
    Unheard,

    // ----- records --------------------------------------------------------------------------
    /// An attempt of a run ended: succeeded, failed, timed out, retrying, lost, cancelled, ...
    #[serde(untagged)]
    Ended(RunRecord),
    /// Fire times were skipped: misfired, max instances, coalesced, paused, ...
    #[serde(untagged)]
    Skipped(SkipRecord),
}

impl Event {
    /// The event as one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line back.
    ///
    /// # Errors
    ///
    /// What is no event that this version knows, as the JSON reader says it.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// What happened, as one word: `lease_won`; of a record what became of it: `succeeded`,
    /// `misfired`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SchedulerStarted { .. } => "scheduler_started",
            Self::SchedulerShutDown { .. } => "scheduler_shut_down",
            Self::SchedulerPaused { .. } => "scheduler_paused",
            Self::SchedulerResumed => "scheduler_resumed",
            Self::QueuePaused { .. } => "queue_paused",
            Self::QueueResumed { .. } => "queue_resumed",
            Self::JobAdded { .. } => "job_added",
            Self::JobModified { .. } => "job_modified",
            Self::JobPaused { .. } => "job_paused",
            Self::JobResumed { .. } => "job_resumed",
            Self::JobRemoved { .. } => "job_removed",
            Self::JobFinished { .. } => "job_finished",
            Self::RunSubmitted { .. } => "run_submitted",
            Self::RunStarted { .. } => "run_started",
            Self::RunReturned { .. } => "run_returned",
            Self::LeaseWon { .. } => "lease_won",
            Self::LeaseLost { .. } => "lease_lost",
            Self::LeaseReleased { .. } => "lease_released",
            Self::Registered { .. } => "registered",
            Self::TrustLost { .. } => "trust_lost",
            Self::TrustResumed { .. } => "trust_resumed",
            Self::SessionGone { .. } => "session_gone",
            Self::SessionFenced { .. } => "session_fenced",
            Self::Recovered { .. } => "recovered",
            Self::Unheard => "unheard",
            Self::Ended(record) => record.outcome.as_str(),
            Self::Skipped(record) => record.skipped.as_str(),
        }
    }

    /// The job that it is about, if it is about one.
    #[must_use]
    pub const fn job(&self) -> Option<&JobId> {
        match self {
            Self::JobAdded { job, .. }
            | Self::JobModified { job, .. }
            | Self::JobPaused { job, .. }
            | Self::JobResumed { job, .. }
            | Self::JobRemoved { job }
            | Self::JobFinished { job }
            | Self::Skipped(SkipRecord { job, .. }) => Some(job),
            Self::RunSubmitted { run }
            | Self::RunStarted { run, .. }
            | Self::RunReturned { run, .. }
            | Self::Ended(RunRecord { run, .. }) => Some(&run.job),
            _ => None,
        }
    }

    /// Whether it is a record, which the store itself tells when it writes it.
    #[must_use]
    pub const fn is_record(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Skipped(_))
    }
}

impl From<Record> for Event {
    fn from(record: Record) -> Self {
        match record {
            Record::Run(record) => Self::Ended(record),
            Record::Skip(record) => Self::Skipped(record),
        }
    }
}

/// Where a store's events come from. Made by stores.
pub trait EventSource: Send {
    /// The next events, in order; none once no more will come, because the way to the store was cut.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Event>>>;
}

/// The events of a shard, from the moment this was made: see [`Store::listen`](crate::Store::listen).
pub struct Feed(Box<dyn EventSource>);

impl Feed {
    /// What comes from this source.
    pub fn new(source: impl EventSource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// The same as [`next`](Self::next), for who polls.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        self.0.poll_next(context)
    }

    /// The next events; none once the way to the store was cut: then whoever goes on listens anew,
    /// and has missed what happened in between. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        poll_fn(|context| self.0.poll_next(context)).await
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// Reads the lines of a message. Those of a newer version's events are left out.
#[must_use]
pub fn read_lines(message: &str) -> Vec<Event> {
    message
        .lines()
        .filter_map(|line| Event::from_line(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SkipReason;
    use crate::time::Timestamp;

    #[test]
    fn each_event_is_a_readable_line_that_reads_back() {
        let node: NodeName = "web-1".parse().unwrap();
        let session: SessionId = "web-1~00000000000000000000000000000001".parse().unwrap();
        let job: JobId = "report".parse().unwrap();
        let run = RunId::fire(job.clone(), Timestamp::from_ms(5));
        let note = HoldNote {
            by: Some("anna".to_owned()),
            reason: None,
        };
        let version = Version(3);
        let cases = [
            (
                Event::SchedulerStarted { node: node.clone() },
                r#"{"event":"scheduler_started","node":"web-1"}"#,
            ),
            (
                Event::SchedulerPaused { note },
                r#"{"event":"scheduler_paused","by":"anna"}"#,
            ),
            (Event::SchedulerResumed, r#"{"event":"scheduler_resumed"}"#),
            (
                Event::JobAdded {
                    job: job.clone(),
                    version,
                },
                r#"{"event":"job_added","job":"report","version":3}"#,
            ),
            (
                Event::RunStarted {
                    node: node.clone(),
                    run,
                    attempt: 2,
                    fence: Fence(9),
                },
                r#"{"event":"run_started","node":"web-1","run":"report@5","attempt":2,"fence":9}"#,
            ),
            (
                Event::Recovered {
                    session,
                    claims: 2,
                    by: node,
                },
                r#"{"event":"recovered","session":"web-1~00000000000000000000000000000001","claims":2,"by":"web-1"}"#,
            ),
            (
                Event::Skipped(SkipRecord {
                    job,
                    skipped: SkipReason::Misfired,
                    first: Timestamp::from_ms(1),
                    last: Timestamp::from_ms(2),
                    count: 2,
                    detail: None,
                }),
                r#"{"job":"report","skipped":"misfired","first_ms":1,"last_ms":2,"count":2}"#,
            ),
        ];
        for (event, line) in cases {
            assert_eq!(event.to_line(), line);
            assert_eq!(Event::from_line(line).unwrap(), event);
            if !event.is_record() {
                assert!(line.starts_with(&format!("{{\"event\":\"{}\"", event.word())));
            }
        }
    }

    #[test]
    fn what_a_newer_version_tells_is_left_out() {
        let message = "{\"event\":\"moon_rose\",\"node\":\"a\"}\n{\"event\":\"scheduler_resumed\"}";
        assert_eq!(read_lines(message), [Event::SchedulerResumed]);
    }
}
