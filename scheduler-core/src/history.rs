//! History: what became of every fire time.
//!
//! A record is one line of JSON: readable where it is stored, and by readers that are older or
//! newer than its writer (unknown fields are left alone, new ones have defaults).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Cause, Fence, JobId, NameError, QueueName, RunId, TaskName};
use crate::plan::{Skip, SkipReason};
use crate::run::Outcome;
use crate::time::Timestamp;

/// How much free text a record keeps, in bytes.
pub const MAX_DETAIL: usize = 2_000;

/// What became of a run or of skipped fire times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// An attempt of a run ended.
    Run(RunRecord),
    /// Fire times were skipped.
    Skip(SkipRecord),
}

/// How an attempt of a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// What became of it.
    pub outcome: Outcome,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The claim that it ran under.
    #[serde(default)]
    pub fence: Fence,
    /// The node that had claimed it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The task; absent where the definition was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// The queue that it waited in.
    pub queue: QueueName,
    /// When the handler was begun, by the store's clock as the node knows it.
    #[serde(
        rename = "started_ms",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub started_at: Option<Timestamp>,
    /// When the attempt ended, likewise.
    #[serde(rename = "ended_ms", default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the run's next attempt is to be made at the earliest, likewise; absent where none
    /// follows, or at once.
    #[serde(rename = "next_ms", default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The handler's result or error, or what else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Fire times in a row that were skipped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipRecord {
    /// The job.
    pub job: JobId,
    /// Why.
    pub skipped: SkipReason,
    /// The first of the fire times.
    #[serde(rename = "first_ms")]
    pub first: Timestamp,
    /// The last of them.
    #[serde(rename = "last_ms")]
    pub last: Timestamp,
    /// How many there are.
    pub count: u64,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl SkipRecord {
    /// The record of a skip of `job`.
    #[must_use]
    pub fn new(job: JobId, skip: &Skip) -> Self {
        let Skip {
            first,
            last,
            count,
            reason,
        } = *skip;
        Self {
            job,
            skipped: reason,
            first,
            last,
            count,
            detail: None,
        }
    }

    /// The same, with what there is to say of it besides: who paused the job or the namespace, and
    /// why. Of a fire time that was skipped for another reason, that is nothing.
    #[must_use]
    pub fn with_detail(self, detail: Option<&str>) -> Self {
        let detail = detail.filter(|_| self.skipped == SkipReason::Paused);
        Self {
            detail: detail.map(|detail| clip(detail.to_owned())),
            ..self
        }
    }

    /// The record of a due job that was set aside.
    #[must_use]
    pub fn parked(job: JobId, due: Timestamp, why: String) -> Self {
        let skipped = SkipReason::Unreadable;
        Self {
            job,
            skipped,
            first: due,
            last: due,
            count: 1,
            detail: Some(clip(why)),
        }
    }
}

impl Record {
    /// The record as one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line back.
    ///
    /// # Errors
    ///
    /// What is no record, as the JSON reader says it.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// What became of it, as one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Run(run) => run.outcome.as_str(),
            Self::Skip(skip) => skip.skipped.as_str(),
        }
    }

    /// Whether this is, or covers, what became of the job's fire time `at`.
    #[must_use]
    pub fn is_about(&self, at: Timestamp) -> bool {
        match self {
            Self::Run(run) => {
                let cause = run.run.cause;
                cause == Cause::Fire(at) || cause.stands_for() == Some(at)
            }
            Self::Skip(skip) => skip.first <= at && at <= skip.last,
        }
    }

    /// The job that the record is about.
    #[must_use]
    pub const fn job(&self) -> &JobId {
        match self {
            Self::Run(run) => &run.run.job,
            Self::Skip(skip) => &skip.job,
        }
    }
}

impl RunRecord {
    /// How long after it should have run it was begun; none where it never was, and where it makes
    /// up for a fire time of the past.
    #[must_use]
    pub fn late(&self) -> Option<Duration> {
        if self.run.cause.stands_for().is_some() {
            return None;
        }
        Some(self.started_at?.since(self.run.scheduled_at()))
    }

    /// How long its handler took.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.started_at?))
    }
}

/// What may have become of fire times, as one word to look for: an outcome of runs, a reason of
/// skips, or `skipped` for whatever reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Became(String);

impl Became {
    /// Whether a record says so.
    #[must_use]
    pub fn is_said_by(&self, record: &Record) -> bool {
        self.0 == record.word() || (self.0 == "skipped" && matches!(record, Record::Skip(_)))
    }
}

impl FromStr for Became {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = serde_json::Value::String(text.to_owned());
        let is_word = text == "skipped"
            || serde_json::from_value::<Outcome>(word.clone()).is_ok()
            || serde_json::from_value::<SkipReason>(word).is_ok();
        if is_word {
            return Ok(Self(text.to_owned()));
        }
        let rule = "is neither how a run ends (succeeded, failed, ...), nor why a fire time is \
                    skipped (misfired, coalesced, ...), nor skipped";
        Err(NameError::new("outcome", text, rule))
    }
}

impl fmt::Display for Became {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Shortens free text to what a record keeps, at a character boundary; says that it did.
#[must_use]
pub fn clip(text: String) -> String {
    clip_to(text, MAX_DETAIL)
}

/// The same to so many bytes.
#[must_use]
pub fn clip_to(text: String, bytes: usize) -> String {
    if text.len() <= bytes {
        return text;
    }
    let end = text.floor_char_boundary(bytes);
    format!("{} ... ({} bytes in all)", &text[..end], text.len())
}
