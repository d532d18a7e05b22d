//! Runs that follow runs: `after = { job = "load", on = "success" }` starts a run of a job when a run
//! of another job has ended so.
//!
//! Who follows whom stands in the follower's definition; that a run ended, and how, stands in history,
//! written in the very step that ends it. So history is the list of what is to be followed, and all
//! that is needed besides is a [`Cursor`]: up to where leaders have followed it. One step of the store
//! makes the runs and moves the cursor, if that is where it was when the step was planned. Hence each
//! end is followed once: a step that is repeated, or comes from a leader that was deposed meanwhile,
//! finds another cursor and does nothing; one that never came is planned anew from where the cursor
//! stands.
//!
//! Pure: what is known is a [`Trail`], what is to be done are [`steps`], and what one of them comes to
//! says [`decide`].

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::history::{Record, RunRecord, SkipRecord};
use crate::id::{Cause, JobId, NameError, RunId, Version};
use crate::job::Job;
use crate::plan::SkipReason;
use crate::policy::Grace;
use crate::run::Outcome;
use crate::store::HistoryEntry;
use crate::time::Timestamp;

/// How many jobs may follow one another in a row.
pub const MAX_CHAIN: usize = 100;

/// Whom a job follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The job whose runs it follows.
    pub job: JobId,
    /// Which of them.
    #[serde(default)]
    pub on: On,
}

/// Which ends of runs are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Those that succeeded. The default.
    #[default]
    Success,
    /// Those that failed for good, timed out, were lost, or could not be read.
    Failure,
    /// All, those that were cancelled or removed, too.
    Any,
}

impl On {
    /// Whether a run that ended so is followed.
    #[must_use]
    pub const fn includes(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Succeeded => matches!(self, Self::Success | Self::Any),
            Outcome::Failed | Outcome::TimedOut | Outcome::Lost | Outcome::Unreadable => {
                matches!(self, Self::Failure | Self::Any)
            }
            Outcome::Cancelled | Outcome::Removed => matches!(self, Self::Any),
            // No ends: another attempt follows, or another run went in its place.
            Outcome::Retrying | Outcome::Rerun => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Any => "any",
        }
    }
}

impl FromStr for On {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "success" => Ok(Self::Success),
            "failure" => Ok(Self::Failure),
            "any" => Ok(Self::Any),
            _ => Err(NameError::new("on", text, "is not success, failure or any")),
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.job, self.on.as_str())
    }
}

/// A place in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64, pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for Position {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let read = || {
            let (first, second) = text.split_once('-')?;
            Some(Self(first.parse().ok()?, second.parse().ok()?))
        };
        read().ok_or_else(|| NameError::new("position", text, "is not <number>-<number>"))
    }
}

/// Up to where history was followed: all entries before `at`, and of that one all, or those of its
/// records and followers that come no later than `within`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// An entry of history.
    pub at: Position,
    /// The place of a record in it, and a follower.
    pub within: Option<(usize, JobId)>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            Some((index, follower)) => write!(f, "{} {index} {follower}", self.at),
            None => self.at.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut words = text.splitn(3, ' ');
        let at = words.next().unwrap_or_default().parse()?;
        let within = match (words.next(), words.next()) {
            (Some(index), Some(follower)) => {
                let index = index.parse();
                let rule = "has no number as its second word";
                let index = index.map_err(|_| NameError::new("cursor", text, rule))?;
                Some((index, JobId::new(follower)?))
            }
            _ => None,
        };
        Ok(Self { at, within })
    }
}

/// A job that follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The job.
    pub job: JobId,
    /// The number of its definition.
    pub version: Version,
    /// Whom it follows.
    pub after: After,
    /// Where history ended when it began to: only later ends count.
    pub since: Position,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// A part of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEntry {
    /// Its place.
    pub position: Position,
    /// When it was written.
    pub at: Timestamp,
    /// Its records of runs, each with its place among all of the entry.
    pub records: Vec<(usize, RunRecord)>,
}

/// What is known of ends that may be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Up to where history was followed, as it is stored; none where it never was.
    pub cursor: Option<Cursor>,
    /// Who follows. Read after the entries, so that nobody is missing who began before one of them.
    pub followers: Vec<Follower>,
    /// History from the cursor on.
    pub entries: Vec<TrailEntry>,
    /// Whether this is all there is.
    pub is_all: bool,
}

/// An end, and a job that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The job.
    pub follower: &'a Follower,
    /// How the run ended.
    pub ended: &'a RunRecord,
    /// When that was written.
    pub at: Timestamp,
}

/// What there is to do, at most `limit` of it, and up to where history is followed then; none where
/// that is where it was followed before.
#[must_use]
pub fn steps(trail: &Trail, limit: usize) -> (Vec<Step<'_>>, Option<Cursor>) {
    let mut of_job: HashMap<&JobId, Vec<&Follower>> = HashMap::new();
    for follower in &trail.followers {
        of_job
            .entry(&follower.after.job)
            .or_default()
            .push(follower);
    }
    // The order in which a cursor goes through the followers of one record.
    for followers in of_job.values_mut() {
        followers.sort_by(|a, b| a.job.cmp(&b.job));
    }
    let mut steps = Vec::new();
    let mut to = None;
    for entry in &trail.entries {
        if trail
            .cursor
            .as_ref()
            .is_some_and(|cursor| is_done(cursor, entry.position))
        {
            continue;
        }
        for (index, ended) in &entry.records {
            let followers = of_job.get(&ended.run.job).into_iter().flatten();
            for follower in followers {
                let within = (*index, follower.job.clone());
                let is_done = trail.cursor.as_ref().is_some_and(|cursor| {
                    cursor.at == entry.position && cursor.within.as_ref() >= Some(&within)
                });
                if is_done
                    || entry.position <= follower.since
                    || !follower.after.on.includes(ended.outcome)
                {
                    continue;
                }
                steps.push(Step {
                    follower,
                    ended,
                    at: entry.at,
                });
                if steps.len() == limit {
                    let at = entry.position;
                    let within = Some(within);
                    return (steps, Some(Cursor { at, within }));
                }
            }
        }
        to = Some(Cursor {
            at: entry.position,
            within: None,
        });
    }
    (steps, to)
}

/// Whether all of this entry was followed.
fn is_done(cursor: &Cursor, entry: Position) -> bool {
    entry < cursor.at || (entry == cursor.at && cursor.within.is_none())
}

/// What one step comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// This run is made. Where the job has no room for it, this is recorded in its place.
    Run(RunId, SkipRecord),
    /// None is, and this is recorded.
    Skip(SkipRecord),
}

/// What a step comes to, by the follower's definition. An end that a leader comes to later than the
/// job's grace time is a misfire, as a fire time is.
#[must_use]
pub fn decide(job: &Job, step: &Step<'_>, now: Timestamp) -> Follow {
    let skip = |skipped| SkipRecord {
        job: job.id().clone(),
        skipped,
        first: step.at,
        last: step.at,
        count: 1,
        detail: Some(format!("after {} {}", step.ended.run, step.ended.outcome)),
    };
    if step.follower.is_paused {
        return Follow::Skip(skip(SkipReason::Paused));
    }
    if let Grace::Within(grace) = job.policy().misfire_grace_time
        && now.since(step.at) > grace
    {
        return Follow::Skip(skip(SkipReason::Misfired));
    }
    let cause = Cause::following(job.id(), &step.ended.run, step.at);
    let run = RunId {
        job: job.id().clone(),
        cause,
    };
    Follow::Run(run, skip(SkipReason::MaxInstances))
}

/// How the run ended that `run` follows, among these records; none where it follows none, or they do not
/// say.
#[must_use]
pub fn followed<'a>(
    run: &RunId,
    entries: impl IntoIterator<Item = &'a HistoryEntry>,
) -> Option<&'a RunRecord> {
    // Whoever made the run named it after that end.
    let is_it = |entry: &HistoryEntry, ended: &RunRecord| {
        On::Any.includes(ended.outcome)
            && Cause::following(&run.job, &ended.run, entry.at) == run.cause
    };
    entries.into_iter().find_map(|entry| match &entry.record {
        Record::Run(ended) if is_it(entry, ended) => Some(ended),
        _ => None,
    })
}

/// The jobs that follow one another in a circle if `job` follows `after`: from the job around to itself;
/// also a chain that is longer than [`MAX_CHAIN`]. `leads` tells whom a job follows.
pub fn circle(
    job: &JobId,
    after: &JobId,
    mut leads: impl FnMut(&JobId) -> Option<JobId>,
) -> Option<Vec<JobId>> {
    let mut chain = vec![job.clone(), after.clone()];
    while chain.last() != Some(job) {
        if chain.len() > MAX_CHAIN {
            return Some(chain);
        }
        let next = leads(chain.last()?)?;
        chain.push(next);
    }
    Some(chain)
}

/// Why a job may not follow another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after: {}", told(.0))]
pub struct Circle(pub Vec<JobId>);

fn told(chain: &[JobId]) -> String {
    let names: Vec<_> = chain.iter().map(JobId::as_str).collect();
    if chain.first() == chain.last() {
        let names = names.join(" after ");
        return format!("jobs would follow one another in a circle: {names}");
    }
    let (first, last) = (names.first().unwrap_or(&""), names.last().unwrap_or(&""));
    format!("more than {MAX_CHAIN} jobs would follow one another in a row, from {last} to {first}")
}
