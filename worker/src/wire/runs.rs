//! Single runs.

use std::collections::BTreeSet;

use scheduler_core::notes::Notes;
use scheduler_core::store::{FailedRun, RunPlace};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;
use crate::jobs::RunReport;

/// All that is known about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ReportView {
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// When it should run, or should have run.
    pub scheduled_at: String,
    /// `running`, `waiting`, `lined_up`, or how it ended.
    pub state: String,
    /// The worker that executes it.
    pub node: Option<String>,
    /// The number of the attempt that is executed.
    pub attempt: Option<u32>,
    /// The number of the claim that it runs under.
    pub fence: Option<u64>,
    /// How many of its job go before it, where it is lined up.
    pub before: Option<usize>,
    /// Its attempts, the first first.
    pub attempts: Vec<AttemptView>,
}

/// An attempt: what is recorded of it, and what its handler noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct AttemptView {
    /// Its number.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Option<String>,
    /// The worker that had claimed it.
    pub node: Option<String>,
    /// The number of the claim.
    pub fence: Option<u64>,
    /// When its handler was begun.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When the next one is made at the earliest.
    pub next_attempt_at: Option<String>,
    /// The handler's result or error, or what else there is to say.
    pub detail: Option<String>,
    /// How far it is.
    pub progress: Option<ProgressView>,
    /// What it made: any JSON.
    pub result: Option<Value>,
    /// Its last lines.
    pub log: Vec<LineView>,
    /// How many lines before these were dropped.
    pub dropped_lines: u64,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ProgressView {
    /// From 0 to 1.
    pub fraction: f64,
    /// In words.
    pub text: String,
    /// When it was told.
    pub at: String,
}

/// A line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct LineView {
    /// When it was told.
    pub at: String,
    /// The line.
    pub text: String,
}

/// The lines that the handlers of a run told, attempt by attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct LogView {
    /// The run.
    pub run: String,
    /// `running`, `waiting`, `lined_up`, or how it ended: more lines may come while it is in flight.
    pub state: String,
    /// The lines, those of the first attempt first.
    pub log: Vec<LineView>,
    /// How many lines were dropped.
    pub dropped_lines: u64,
}

impl ReportView {
    /// The view of what is known about a run.
    #[must_use]
    pub fn new(report: &RunReport) -> Self {
        let (mut node, mut attempt, mut fence, mut before) = (None, None, None, None);
        match &report.place {
            Some(RunPlace::Claimed {
                by,
                attempt: number,
                fence: claim,
            }) => {
                node = Some(by.node().to_owned());
                (attempt, fence) = (Some(*number), Some(claim.0));
            }
            Some(RunPlace::LinedUp { before: others }) => before = Some(*others),
            Some(RunPlace::Waiting) | None => {}
        }
        let recorded = report.records.iter().map(|(_, record)| record.attempt);
        let noted = report.notes.iter().map(|told| told.attempt);
        let attempts: BTreeSet<u32> = recorded.chain(noted).collect();
        Self {
            run: report.run.to_string(),
            job: report.run.job.to_string(),
            scheduled_at: report.run.scheduled_at().to_string(),
            state: report.state().to_owned(),
            node,
            attempt,
            fence,
            before,
            attempts: attempts
                .into_iter()
                .map(|attempt| AttemptView::new(report, attempt))
                .collect(),
        }
    }
}

impl AttemptView {
    fn new(report: &RunReport, attempt: u32) -> Self {
        let mut records = report.records.iter().map(|(_, record)| record);
        let record = records.rfind(|record| record.attempt == attempt);
        let notes = report.notes_of(attempt);
        Self {
            attempt,
            outcome: record.map(|record| record.outcome.as_str().to_owned()),
            node: record.map(|record| record.node.clone()),
            fence: record.map(|record| record.fence.0),
            started_at: shown(record.and_then(|record| record.started_at)),
            ended_at: shown(record.and_then(|record| record.ended_at)),
            next_attempt_at: shown(record.and_then(|record| record.next_at)),
            detail: record.and_then(|record| record.detail.clone()),
            progress: notes
                .and_then(|notes| notes.progress.as_ref())
                .map(|progress| ProgressView {
                    fraction: progress.fraction,
                    text: progress.text.clone(),
                    at: progress.at.to_string(),
                }),
            result: notes.and_then(|notes| notes.result.clone()),
            log: notes.map(lines).unwrap_or_default(),
            dropped_lines: notes.map_or(0, |notes| notes.dropped),
        }
    }
}

impl LogView {
    /// The lines of what is known about a run.
    #[must_use]
    pub fn new(report: &RunReport) -> Self {
        let told = report.notes.iter();
        Self {
            run: report.run.to_string(),
            state: report.state().to_owned(),
            log: told.clone().flat_map(|told| lines(&told.notes)).collect(),
            dropped_lines: told.map(|told| told.notes.dropped).sum(),
        }
    }
}

fn lines(notes: &Notes) -> Vec<LineView> {
    let lines = notes.log.iter().map(|line| LineView {
        at: line.at.to_string(),
        text: line.text.clone(),
    });
    lines.collect()
}

/// A run that has failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FailedView {
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// The task.
    pub task: Option<String>,
    /// What the task got; null where the definition cannot be read.
    pub args: Option<Value>,
    /// How it ended.
    pub outcome: String,
    /// The number of its last attempt.
    pub attempt: u32,
    /// The worker that had claimed it.
    pub node: String,
    /// When that was written.
    pub failed_at: String,
    /// What else there is to say.
    pub detail: Option<String>,
}

impl FailedView {
    /// The view of a failed run.
    #[must_use]
    pub fn new(failed: &FailedRun) -> Self {
        let record = &failed.record;
        Self {
            run: record.run.to_string(),
            job: record.run.job.to_string(),
            task: record.task.as_ref().map(ToString::to_string),
            args: failed.job.as_ref().map(|job| job.args().clone()),
            outcome: record.outcome.as_str().to_owned(),
            attempt: record.attempt,
            node: record.node.clone(),
            failed_at: failed.failed_at.to_string(),
            detail: record.detail.clone(),
        }
    }
}

/// A page of failed runs, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FailedPage {
    /// The runs.
    pub items: Vec<FailedView>,
    /// Where to go on, as `after`; null at the end.
    pub next: Option<String>,
}
