//! Jobs.

use std::time::Duration;

use scheduler_core::store::{RunInFlight, RunPlace};
use scheduler_core::unique::Holder;
use scheduler_core::{
    After, Coalesce, Delivery, Grace, HistoryPolicy, OnLost, Overlap, Pause, Policy, Priority,
    Retry, StoredJob, Unique, UniqueKey, duration,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The task that it runs.
    pub task: String,
    /// What the task gets: null, a list or an object.
    pub args: Value,
    /// When it runs: as it was typed, but for the zone, which is spelled out.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub trigger: Value,
    /// The same in words.
    pub description: String,
    /// The zone of its trigger.
    pub timezone: String,
    /// Whom it follows: the job, and which ends of its runs.
    #[cfg_attr(feature = "http", schema(value_type = Option<Object>))]
    pub after: Option<After>,
    /// Where its runs wait.
    pub queue: String,
    /// What people find it by.
    pub tags: Vec<String>,
    /// Who declares it.
    pub owner: Option<String>,
    /// Its policies.
    #[serde(flatten)]
    pub policy: PolicyView,
    /// The key that no other live job may have: key, ttl in seconds and `on_conflict`.
    #[cfg_attr(feature = "http", schema(value_type = Option<Object>))]
    pub unique: Option<Unique>,
    /// `active`, `paused`, `parked` (its record cannot be read) or `finished`.
    pub state: String,
    /// Its pause.
    pub pause: Option<PauseView>,
    /// When it runs next.
    pub next_run_time: Option<String>,
    /// Its last fire time that was settled.
    pub last_fire_time: Option<String>,
    /// How many of its runs are in flight.
    pub running: usize,
    /// The number of this definition, as in the ETag.
    pub version: u64,
}

impl JobView {
    /// The view of a stored job.
    #[must_use]
    pub fn new(stored: &StoredJob) -> Self {
        let job = &stored.job;
        Self {
            id: job.id().to_string(),
            name: job.name().to_owned(),
            task: job.task().to_string(),
            args: job.args().clone(),
            trigger: serde_json::to_value(job.trigger()).unwrap_or_default(),
            description: job.trigger().describe(),
            timezone: job.trigger().timezone().name().to_owned(),
            after: job.after().cloned(),
            queue: job.queue().to_string(),
            tags: job.tags().iter().map(ToString::to_string).collect(),
            owner: job.owner().map(str::to_owned),
            policy: PolicyView::new(job.policy()),
            unique: job.unique().cloned(),
            state: stored.standing().as_str().to_owned(),
            pause: stored.state.pause().map(PauseView::new),
            next_run_time: shown(stored.next_fire),
            last_fire_time: shown(stored.fired),
            running: stored.in_flight,
            version: stored.version.0,
        }
    }
}

/// All policies of a job, those that it left to their defaults, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PolicyView {
    /// Which of several due fire times become runs: `latest`, `earliest` or `all`.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub coalesce: Coalesce,
    /// How late a fire time may still become a run: seconds, or `none` for no limit.
    #[cfg_attr(feature = "http", schema(value_type = Value))]
    pub misfire_grace_time: Grace,
    /// How many fire times that are due at once may become runs.
    pub max_catch_up: u32,
    /// How many of its runs may be in flight at once.
    pub max_instances: u32,
    /// What becomes of a fire time beyond that: `skip` or `queue`.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub overlap: Overlap,
    /// What becomes of a run whose handler failed.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub retry: Retry,
    /// How many seconds an attempt may take.
    #[serde(with = "duration::option")]
    #[cfg_attr(feature = "http", schema(value_type = Option<f64>))]
    pub timeout: Option<Duration>,
    /// How often a run may be begun: `at_least_once` or `at_most_once`.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub delivery: Delivery,
    /// What becomes of a run whose worker died: `retry` or `fail`.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub on_lost: OnLost,
    /// How many attempts of a run may be lost with their workers.
    pub max_lost: u32,
    /// Which of its queue's runs go first: `high`, `normal` or `low`.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub priority: Priority,
    /// Over how many seconds its fire times are spread.
    #[serde(with = "duration::option")]
    #[cfg_attr(feature = "http", schema(value_type = Option<f64>))]
    pub spread: Option<Duration>,
    /// Whether it stays stored when its schedule is over.
    pub keep: bool,
    /// How much of its history is kept, besides what is kept of all jobs: `keep` and `keep_for`.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub history: HistoryPolicy,
}

impl PolicyView {
    /// The view of these policies.
    #[must_use]
    pub const fn new(policy: &Policy) -> Self {
        Self {
            coalesce: policy.coalesce,
            misfire_grace_time: policy.misfire_grace_time,
            max_catch_up: policy.max_catch_up.get(),
            max_instances: policy.max_instances.get(),
            overlap: policy.overlap,
            retry: policy.retry,
            timeout: policy.timeout,
            delivery: policy.delivery,
            on_lost: policy.on_lost,
            max_lost: policy.max_lost.get(),
            priority: policy.priority,
            spread: policy.spread,
            keep: policy.keep,
            history: policy.history,
        }
    }
}

/// A pause of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PauseView {
    /// When it began.
    pub since: Option<String>,
    /// When it ends by itself.
    pub until: Option<String>,
    /// Who began it.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl PauseView {
    /// The view of a pause.
    #[must_use]
    pub fn new(pause: &Pause) -> Self {
        Self {
            since: shown(pause.since),
            until: shown(pause.until),
            by: pause.by.clone(),
            reason: pause.reason.clone(),
        }
    }
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct JobsPage {
    /// The jobs.
    pub items: Vec<JobView>,
    /// Where to go on, as `cursor`; null at the end. A page may hold less than was asked for, and not
    /// be the last.
    pub next: Option<String>,
    /// Jobs that are stored and cannot be read, with the reason.
    pub unreadable: Vec<UnreadableView>,
}

/// A job that is stored and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct UnreadableView {
    /// Its id.
    pub id: String,
    /// Why it cannot be read.
    pub why: String,
}

/// A run in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RunningView {
    /// Its id.
    pub run: String,
    /// `running`, `waiting` or `lined_up`.
    pub state: String,
    /// The worker that executes it.
    pub node: Option<String>,
    /// The number of the attempt that is executed.
    pub attempt: Option<u32>,
    /// How many of its job go before it, where it is lined up.
    pub before: Option<usize>,
}

impl RunningView {
    /// The view of a run in flight.
    #[must_use]
    pub fn new(run: &RunInFlight) -> Self {
        let (attempt, before) = match run.place {
            RunPlace::Claimed { attempt, .. } => (Some(attempt), None),
            RunPlace::Waiting => (None, None),
            RunPlace::LinedUp { before } => (None, Some(before)),
        };
        let node = run.place.claimed_by();
        Self {
            run: run.run.to_string(),
            state: run.place.as_str().to_owned(),
            node: node.map(|session| session.node().to_owned()),
            attempt,
            before,
        }
    }
}

/// The runs of a job that are in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct InFlight {
    /// The runs.
    pub items: Vec<RunningView>,
}

/// Who holds a unique key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct HolderView {
    /// The key.
    pub key: String,
    /// The job that holds it.
    pub job: String,
    /// Until when; null where that is until its run has ended.
    pub until: Option<String>,
}

impl HolderView {
    /// The view of a key's holder.
    #[must_use]
    pub fn new(key: &UniqueKey, holder: &Holder) -> Self {
        Self {
            key: key.to_string(),
            job: holder.job.to_string(),
            until: shown(holder.until),
        }
    }
}
