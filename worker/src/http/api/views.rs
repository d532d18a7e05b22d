//! What is answered.

use scheduler_core::history::{Record, RunRecord, SkipRecord};
use scheduler_core::store::{HistoryEntry, NodeView, Overview};
use scheduler_core::{JobState, Policy, StoredJob, Timestamp, Unique};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct JobView {
    /// Its id.
    id: String,
    /// Its name for people.
    name: String,
    /// The task that it runs.
    task: String,
    /// What the task gets.
    #[schema(value_type = Object)]
    args: Value,
    /// When it runs.
    #[schema(value_type = Object)]
    trigger: Value,
    /// The same in words.
    description: String,
    /// Where its runs wait.
    queue: String,
    /// What people find it by.
    tags: Vec<String>,
    /// Who declares it.
    owner: Option<String>,
    /// Its policies.
    #[schema(value_type = Object)]
    policy: Policy,
    /// The key that no other live job may have.
    #[schema(value_type = Option<Object>)]
    unique: Option<Unique>,
    /// `active`, `paused`, or `parked`: its record cannot be read.
    state: &'static str,
    /// When it runs next.
    next_run_time: Option<String>,
    /// Its last fire time that was settled.
    last_fire_time: Option<String>,
    /// How many of its runs are in flight.
    running: usize,
    /// The number of this definition, as in the ETag.
    version: u64,
}

impl JobView {
    pub(super) fn new(stored: &StoredJob) -> Self {
        let job = &stored.job;
        Self {
            id: job.id().to_string(),
            name: job.name().to_owned(),
            task: job.task().to_string(),
            args: job.args().clone(),
            trigger: serde_json::to_value(job.trigger()).unwrap_or_default(),
            description: job.trigger().describe(),
            queue: job.queue().to_string(),
            tags: job.tags().iter().map(ToString::to_string).collect(),
            owner: job.owner().map(str::to_owned),
            policy: *job.policy(),
            unique: job.unique().cloned(),
            state: state(stored),
            next_run_time: stored.next_fire.map(|at| at.to_string()),
            last_fire_time: stored.fired.map(|at| at.to_string()),
            running: stored.in_flight,
            version: stored.version.0,
        }
    }
}

/// A job's state as one word.
pub(super) const fn state(stored: &StoredJob) -> &'static str {
    match (&stored.state, stored.parked) {
        (JobState::Active, None) => "active",
        (JobState::Active, Some(_)) => "parked",
        (JobState::Paused { .. }, _) => "paused",
    }
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct JobsPage {
    /// The jobs, by id.
    pub(super) items: Vec<JobView>,
    /// Where to go on, as `cursor`; none at the end.
    pub(super) next: Option<String>,
    /// Jobs that are stored and cannot be read, with the reason.
    pub(super) unreadable: Vec<UnreadableView>,
}

/// A job that is stored and cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct UnreadableView {
    pub(super) id: String,
    pub(super) why: String,
}

/// What became of an attempt of a run, or of skipped fire times.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum EntryView {
    /// An attempt of a run ended.
    Run(RunView),
    /// Fire times were skipped.
    Skip(SkipView),
}

/// An attempt of a run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RunView {
    /// When this was written.
    time: String,
    run: String,
    job: String,
    outcome: &'static str,
    attempt: u32,
    fence: u64,
    node: String,
    task: Option<String>,
    queue: String,
    scheduled_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    detail: Option<String>,
}

/// Fire times that were skipped.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct SkipView {
    /// When this was written.
    time: String,
    job: String,
    reason: &'static str,
    count: u64,
    first: String,
    last: String,
    detail: Option<String>,
}

impl EntryView {
    pub(super) fn new(entry: &HistoryEntry) -> Self {
        match &entry.record {
            Record::Run(run) => Self::Run(RunView::new(entry.at, run)),
            Record::Skip(skip) => Self::Skip(SkipView::new(entry.at, skip)),
        }
    }
}

impl RunView {
    fn new(at: Timestamp, run: &RunRecord) -> Self {
        Self {
            time: at.to_string(),
            run: run.run.to_string(),
            job: run.run.job.to_string(),
            outcome: run.outcome.as_str(),
            attempt: run.attempt,
            fence: run.fence.0,
            node: run.node.clone(),
            task: run.task.as_ref().map(ToString::to_string),
            queue: run.queue.to_string(),
            scheduled_at: run.run.scheduled_at().to_string(),
            started_at: run.started_at.map(|at| at.to_string()),
            ended_at: run.ended_at.map(|at| at.to_string()),
            detail: run.detail.clone(),
        }
    }
}

impl SkipView {
    fn new(at: Timestamp, skip: &SkipRecord) -> Self {
        Self {
            time: at.to_string(),
            job: skip.job.to_string(),
            reason: skip.skipped.as_str(),
            count: skip.count,
            first: skip.first.to_string(),
            last: skip.last.to_string(),
            detail: skip.detail.clone(),
        }
    }
}

/// A page of what became of fire times, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RunsPage {
    pub(super) items: Vec<EntryView>,
    /// Where to go on, as `before`; none at the end. A page may hold less than was asked for, and not
    /// be the last.
    pub(super) next: Option<String>,
}

/// All that became of one run, the oldest attempt first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RunHistory {
    pub(super) run: String,
    pub(super) attempts: Vec<EntryView>,
}

/// A run that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct RunMade {
    pub(super) run: String,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct WorkerView {
    node: String,
    session: String,
    /// `alive`, `silent` (no sign of life in time) or `dead` (declared so).
    state: &'static str,
    leads: bool,
    running: usize,
    concurrency: Option<u32>,
    queues: Vec<String>,
    host: Option<String>,
    pid: Option<u32>,
    version: Option<String>,
    since: Option<String>,
    deadline: String,
}

impl WorkerView {
    pub(super) fn new(view: &NodeView, now: Timestamp) -> Self {
        let info = view.info.as_ref();
        let queues = info.map(|info| info.queues.iter().map(ToString::to_string).collect());
        Self {
            node: view.session.node().to_owned(),
            session: view.session.to_string(),
            state: match view.dead {
                true => "dead",
                false if view.deadline < now => "silent",
                false => "alive",
            },
            leads: view.leads,
            running: view.running,
            concurrency: info.map(|info| info.concurrency),
            queues: queues.unwrap_or_default(),
            host: info.map(|info| info.host.clone()),
            pid: info.map(|info| info.pid),
            version: info.map(|info| info.carillon.clone()),
            since: view.since.map(|at| at.to_string()),
            deadline: view.deadline.to_string(),
        }
    }
}

/// All workers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Workers {
    pub(super) items: Vec<WorkerView>,
}

/// Who leads, if anybody does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct LeaderView {
    node: Option<String>,
    session: Option<String>,
    epoch: Option<u64>,
    since: Option<String>,
}

impl LeaderView {
    pub(super) fn new(overview: &Overview) -> Self {
        let leader = overview.leader.as_ref();
        Self {
            node: leader.map(|token| token.session.node().to_owned()),
            session: leader.map(|token| token.session.to_string()),
            epoch: leader.map(|token| token.epoch.0),
            since: leader.map(|token| token.since.to_string()),
        }
    }
}

/// The namespace in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Stats {
    /// The store's clock.
    now: String,
    /// Stored jobs.
    jobs: u64,
    /// Jobs with a due time.
    scheduled: u64,
    /// Jobs that are due and not dispatched yet.
    due: u64,
    /// Runs that wait or are executed.
    in_flight: u64,
    /// Runs that wait for their next attempt.
    retries: u64,
    /// The queues.
    queues: Vec<QueueStats>,
}

/// A queue in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct QueueStats {
    queue: String,
    /// Runs that wait for a worker.
    ready: u64,
}

impl Stats {
    pub(super) fn new(overview: &Overview) -> Self {
        let queues = overview.queues.iter().map(|queue| QueueStats {
            queue: queue.queue.to_string(),
            ready: queue.ready,
        });
        Self {
            now: overview.now.to_string(),
            jobs: overview.jobs,
            scheduled: overview.scheduled,
            due: overview.due,
            in_flight: overview.busy,
            retries: overview.retries,
            queues: queues.collect(),
        }
    }
}

/// When a trigger fires.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct PreviewView {
    /// The trigger in words.
    pub(super) description: String,
    /// The trigger, with its zone spelled out.
    #[schema(value_type = Object)]
    pub(super) trigger: Value,
    /// Its zone.
    pub(super) timezone: &'static str,
    /// Its next fire times.
    pub(super) fire_times: Vec<FireTime>,
    /// Whether there are no more.
    pub(super) exhausted: bool,
}

/// A fire time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct FireTime {
    /// In UTC.
    pub(super) at: String,
    /// In the trigger's zone.
    pub(super) local: String,
    /// Whether the zone's clock was changed since the fire time before.
    pub(super) clock_changed: bool,
}
