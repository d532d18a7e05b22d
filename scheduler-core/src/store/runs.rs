//! Requests and answers of those who look after single runs.

use crate::history::RunRecord;
use crate::id::{JobId, RunId};
use crate::job::Job;
use crate::run::Outcome;
use crate::store::RequestId;
use crate::time::Timestamp;

/// Cancels a run.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The request.
    pub request: RequestId,
    /// The run.
    pub run: RunId,
    /// Who cancels it, and why: what history keeps.
    pub reason: String,
}

impl Cancel {
    /// The reason, from who cancels the run and why.
    #[must_use]
    pub fn reason(by: Option<&str>, why: Option<&str>) -> String {
        let mut reason = "cancelled".to_owned();
        if let Some(by) = by {
            reason.push_str(" by ");
            reason.push_str(by);
        }
        if let Some(why) = why {
            reason.push_str(": ");
            reason.push_str(why);
        }
        crate::history::clip(reason)
    }
}

/// What became of cancelling a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It waited for its next attempt, and has ended.
    Ended,
    /// It waits in a queue or is executed, and ends when that is next looked at.
    Marked,
    /// No such run is in flight: it is over, or never was.
    NotInFlight,
}

/// A run that was cancelled while a session holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The run.
    pub run: RunId,
    /// Who cancelled it, and why.
    pub reason: String,
}

/// A run that has failed for good, and is kept until somebody has it run again, or time passes.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedRun {
    /// The record of its last attempt.
    pub record: RunRecord,
    /// When that was written, by the store's clock.
    pub failed_at: Timestamp,
    /// The job as it was executed, args and all; none where this version cannot read it.
    pub job: Option<Job>,
}

impl FailedRun {
    /// What history says of it when it is run again.
    #[must_use]
    pub fn rerun_record(run: &RunId, job: &Job, again: &RunId) -> RunRecord {
        RunRecord {
            run: run.clone(),
            outcome: Outcome::Rerun,
            attempt: 0,
            fence: crate::id::Fence::default(),
            node: String::new(),
            task: Some(job.task().clone()),
            queue: job.queue().clone(),
            started_at: None,
            ended_at: None,
            next_at: None,
            detail: Some(format!("as {again}")),
        }
    }
}

/// Which failed runs to read.
#[derive(Clone, Debug, Default)]
pub struct FailedQuery {
    /// Only of this job. Defaults to all.
    pub job: Option<JobId>,
    /// Onward from where a page ended; without it, the newest first.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// A page of failed runs.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedPage {
    /// The runs, the newest first.
    pub runs: Vec<FailedRun>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

/// Has failed runs run again.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// The request.
    pub request: RequestId,
    /// The runs, at most 200, each once.
    pub items: Vec<RerunItem>,
}

/// One failed run that is to be run again.
#[derive(Clone, Debug)]
pub struct RerunItem {
    /// The run that failed.
    pub failed: RunId,
    /// Its job, as kept with it.
    pub job: Job,
    /// The run to make: one of the same job that was asked for, never used before.
    pub run: RunId,
}

/// What became of running a failed run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerunAnswer {
    /// The new run was made; the failed one is no longer kept.
    Made,
    /// There is no such failed run (any more).
    NotFound,
    /// As many runs as the job allows are in flight. The failed run is still kept.
    Full {
        /// How many that are.
        in_flight: usize,
    },
}
