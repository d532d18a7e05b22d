//! What became of fire times.

use std::time::Duration;

use scheduler_core::Timestamp;
use scheduler_core::history::{Record, RunRecord, SkipRecord};
use scheduler_core::store::HistoryEntry;
use serde::{Deserialize, Serialize};

use super::shown;

/// What became of an attempt of a run, or of skipped fire times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryView {
    /// An attempt of a run ended.
    Run(RunView),
    /// Fire times were skipped.
    Skip(SkipView),
}

/// An attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RunView {
    /// When this was written.
    pub time: String,
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// What became of it: `succeeded`, `failed`, `retrying`, ...
    pub outcome: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// The number of the claim that it ran under.
    pub fence: u64,
    /// The worker that had claimed it; empty where none had.
    pub node: String,
    /// The task.
    pub task: Option<String>,
    /// The queue that it waited in.
    pub queue: String,
    /// When it should have run.
    pub scheduled_at: String,
    /// When its handler was begun.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How late it was begun.
    pub late_ms: Option<u64>,
    /// How long its handler took.
    pub took_ms: Option<u64>,
    /// When its next attempt is made at the earliest.
    pub next_attempt_at: Option<String>,
    /// The handler's result or error, or what else there is to say.
    pub detail: Option<String>,
}

/// Fire times that were skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct SkipView {
    /// When this was written.
    pub time: String,
    /// The job.
    pub job: String,
    /// Why: `misfired`, `coalesced`, `paused`, ...
    pub reason: String,
    /// How many fire times.
    pub count: u64,
    /// The first of them.
    pub first: String,
    /// The last of them.
    pub last: String,
    /// What else there is to say.
    pub detail: Option<String>,
}

impl EntryView {
    /// The view of an entry of history.
    #[must_use]
    pub fn new(entry: &HistoryEntry) -> Self {
        match &entry.record {
            Record::Run(run) => Self::Run(RunView::new(entry.at, run)),
            Record::Skip(skip) => Self::Skip(SkipView::new(entry.at, skip)),
        }
    }
}

impl RunView {
    fn new(at: Timestamp, run: &RunRecord) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            time: at.to_string(),
            run: run.run.to_string(),
            job: run.run.job.to_string(),
            outcome: run.outcome.as_str().to_owned(),
            attempt: run.attempt,
            fence: run.fence.0,
            node: run.node.clone(),
            task: run.task.as_ref().map(ToString::to_string),
            queue: run.queue.to_string(),
            scheduled_at: run.run.scheduled_at().to_string(),
            started_at: shown(run.started_at),
            ended_at: shown(run.ended_at),
            late_ms: run.late().map(ms),
            took_ms: run.took().map(ms),
            next_attempt_at: shown(run.next_at),
            detail: run.detail.clone(),
        }
    }
}

impl SkipView {
    fn new(at: Timestamp, skip: &SkipRecord) -> Self {
        Self {
            time: at.to_string(),
            job: skip.job.to_string(),
            reason: skip.skipped.as_str().to_owned(),
            count: skip.count,
            first: skip.first.to_string(),
            last: skip.last.to_string(),
            detail: skip.detail.clone(),
        }
    }
}

/// A page of what became of fire times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RunsPage {
    /// The records: the newest first, or with `after` the oldest.
    pub items: Vec<EntryView>,
    /// Where to go on to what is older, as `before`; null at the end. A page may hold less than was
    /// asked for, and not be the last.
    pub next: Option<String>,
    /// The newest position that this page has seen: where to go on to what is newer, as `after`. A
    /// page that has moved no further has come to the end.
    pub position: String,
}
