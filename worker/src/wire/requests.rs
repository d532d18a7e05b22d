//! What is asked of jobs, runs and queues, and the short answers.

use scheduler_core::Timestamp;
use scheduler_core::store::Steered;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::jobs::RunAgain;

/// A pause, as somebody wants it: of a job, a queue or the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PauseRequest {
    /// Who pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself: a time, in the zone of the configuration where it has no offset. Of a
    /// job only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// After how long it ends by itself: `30m`, `2h`. Of a job only, and not with `until`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// What becomes of a queue's limits: what is not named stays, null takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LimitsRequest {
    /// How many of its runs are executed at once, from 1; null for any number.
    #[serde(deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64))]
    pub concurrency: Option<Option<std::num::NonZeroU32>>,
    /// How many of its runs are begun in a time: `100/s`, `5/m`, `10/30s`; null for any number.
    #[serde(deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub rate: Option<Option<String>>,
}

/// Tells null from what is not there.
fn some<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// What became of pausing, resuming or limiting a queue or the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct SteeredView {
    /// Whether anything was changed; not where it was so already.
    pub changed: bool,
}

impl From<Steered> for SteeredView {
    fn from(steered: Steered) -> Self {
        Self {
            changed: steered == Steered::Done,
        }
    }
}

/// A run, as somebody wants it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RunRequest {
    /// What the task gets this time, in place of the job's args: null, a list or an object.
    #[serde(deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Value))]
    pub args: Option<Value>,
}

/// A run that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RunMade {
    /// Its id.
    pub run: String,
}

/// A job that runs once, under an id that is made for it. Besides these, it has the fields of a job,
/// but for id, trigger and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct OnceRequest {
    /// The task that it runs.
    pub task: String,
    /// When: a time. Defaults to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// After how long: `10m`. Not with `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// The other fields of the job.
    #[serde(flatten)]
    #[cfg_attr(feature = "http", schema(value_type = Object, additional_properties))]
    pub fields: Map<String, Value>,
}

/// Runs for fire times of the past, as somebody wants them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The first instant: `2026-11-01T00:00:00Z`.
    pub from: String,
    /// The last instant, not in the future.
    pub to: String,
    /// How many runs to make at most, 1 to 10000. Defaults to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(minimum = 1, maximum = 10_000))]
    pub max: Option<usize>,
    /// The queue in which they wait. Defaults to the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Whether to tell only for which fire times it would make runs.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of making up for fire times. Runs are made while the job has room for them: with
/// `max_instances` 1 one at a time. Whoever wants all asks again from `next` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Backfilled {
    /// The fire times that are made up for, the earliest first.
    pub items: Vec<MadeUp>,
    /// How many more are to be made up for within `max`, once the job has room for them.
    pub waiting: usize,
    /// The first fire time that is not made up for; null where none is left.
    pub next: Option<String>,
}

/// A fire time that is made up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct MadeUp {
    /// The fire time.
    pub fire_time: String,
    /// The run that was made for it; null in a dry run.
    pub run: Option<String>,
}

/// What became of a fire time, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Explained {
    /// The job.
    pub job: String,
    /// The fire time that was meant; null where there is none yet.
    pub fire_time: Option<String>,
    /// What became of it, as one word: `ran`, `misfired`, `not_due_yet`, ...
    pub fate: String,
    /// The same in words, line by line.
    pub text: Vec<String>,
}

impl Explained {
    pub(crate) fn new(job: &str, at: Option<Timestamp>, fate: &str, text: Vec<String>) -> Self {
        Self {
            job: job.to_owned(),
            fire_time: super::shown(at),
            fate: fate.to_owned(),
            text,
        }
    }
}

/// Who cancels a run, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CancelRequest {
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why: kept in history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of cancelling a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Cancelled {
    /// The run.
    pub run: String,
    /// Whether it has ended: one that waits in a queue or is executed ends when its worker hears of it.
    pub ended: bool,
}

/// Some failed runs: these, or all of a job, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Chosen {
    /// These runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "http", schema(max_items = 1_000))]
    pub runs: Vec<String>,
    /// All of this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// All there are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Onward from where an earlier request ended, as it said in `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What became of running failed runs again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RerunDone {
    /// What became of each.
    pub items: Vec<RerunView>,
    /// Where to go on, as `after`; null at the end: one request does so many.
    pub next: Option<String>,
}

/// What became of running a failed run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RerunView {
    /// The run that failed.
    pub run: String,
    /// The run that was made; null where none was.
    pub made: Option<String>,
    /// Why none was made.
    pub why: Option<String>,
}

impl RerunView {
    /// The view of what became of a failed run.
    #[must_use]
    pub fn new(run: String, became: &RunAgain) -> Self {
        let (made, why) = match became {
            RunAgain::Made(again) => (Some(again.to_string()), None),
            RunAgain::NotFound => (None, Some(format!("there is no failed run \"{run}\""))),
            RunAgain::Full { in_flight } => {
                let why = format!("its job has {in_flight} run(s) in flight, as many as it allows");
                (None, Some(why))
            }
            RunAgain::Unreadable => {
                let why = "its definition cannot be read by this version";
                (None, Some(why.to_owned()))
            }
        };
        Self { run, made, why }
    }
}

/// How many failed runs were forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PurgeDone {
    /// So many.
    pub purged: usize,
    /// Those of the runs that were asked for of which there is none.
    pub missing: Vec<String>,
    /// Where to go on, as `after`; null at the end: one request does so many.
    pub next: Option<String>,
}
