//! Requests and answers of the leader and of those who would lead.

use std::time::Duration;

use crate::after::{Cursor, Follow};
use crate::id::{JobId, QueueName, SessionId, Version};
use crate::lease::{LeaseToken, Steal};
use crate::plan::Plan;
use crate::policy::Priority;
use crate::queue::Hold;
use crate::run::WaitingRun;
use crate::time::Timestamp;

/// Asks for the lease.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// Who asks.
    pub session: SessionId,
    /// How long the lease lives without being renewed.
    pub ttl: Duration,
    /// From whom to take the lease early, and why.
    pub steal: Option<Steal>,
    /// The highest number from the shard's counter that the caller has seen.
    pub floor: u64,
}

/// What became of asking for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcquireAnswer {
    /// The caller holds it, under this token.
    Acquired(LeaseToken),
    /// Somebody else does, and makes progress, or has not held it for long.
    Held(LeaseToken),
    /// The caller's session is over.
    Gone,
    /// Nobody holds it yet: the store lost its latest writes, and nodes tell what they know. It may
    /// be ready earlier than in this time, and wakes standbys then.
    Early(Duration),
}

/// Looks at what is due.
#[derive(Clone, Debug)]
pub struct Peek {
    /// The caller's lease.
    pub token: LeaseToken,
    /// How long the lease lives from now on.
    pub ttl: Duration,
    /// How far to look ahead: jobs that come to be due within this time are shown behind those that are.
    pub ahead: Duration,
    /// How many of these jobs to show at most.
    pub limit: usize,
    /// Queues in which runs may wait, to be offered anew to idle nodes.
    pub queues: Vec<QueueName>,
}

/// A job that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueJob {
    /// The job.
    pub job: JobId,
    /// Its due time.
    pub due: Timestamp,
    /// Its version at this moment.
    pub version: Version,
    /// How many of its runs are in flight, those included that are lined up.
    pub in_flight: usize,
}

/// A job with runs that are lined up, one of whose other runs has ended, or whose definition has
/// changed: there may be room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The job.
    pub job: JobId,
    /// Its version at this moment.
    pub version: Version,
}

/// A run whose waiting time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRetry {
    /// The queue that it goes to.
    pub queue: QueueName,
    /// The run.
    pub waiting: WaitingRun,
    /// Until when it had to wait.
    pub not_before: Timestamp,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The store's clock at this moment.
    pub now: Timestamp,
    /// Due jobs, the longest due first; behind them those that come to be due within the time
    /// [ahead](Peek::ahead).
    pub due: Vec<DueJob>,
    /// When the next job is due after these.
    pub next_due: Option<Timestamp>,
    /// The pause of the namespace: what is due is to be recorded as skipped.
    pub hold: Option<Hold>,
    /// Runs whose waiting time is over.
    pub retries: Vec<DueRetry>,
    /// When the next run's waiting time is over.
    pub next_retry: Option<Timestamp>,
    /// Jobs that may have room for runs that are lined up.
    pub openings: Vec<Opening>,
    /// Jobs whose schedule is over and whose last run has ended.
    pub finished: Vec<JobId>,
    /// Paused jobs whose pause has an end that has come, the longest first; not more than 200.
    pub resumes: Vec<JobId>,
    /// When the next pause ends.
    pub next_resume: Option<Timestamp>,
    /// Whether there are jobs that follow others.
    pub follows: bool,
    /// Whether any run is in flight.
    pub is_busy: bool,
}

/// What became of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum PeekAnswer {
    /// What is due.
    Peeked(Peeked),
    /// The lease is no longer the caller's.
    LeaseLost,
}

/// One due job, planned.
#[derive(Clone, Debug)]
pub struct DispatchItem {
    /// The job.
    pub job: JobId,
    /// The due time that was planned for.
    pub due: Timestamp,
    /// The version that was planned with.
    pub version: Version,
    /// The queue of its runs.
    pub queue: QueueName,
    /// Which of the queue's runs its runs wait with.
    pub priority: Priority,
    /// How many runs may be in flight at once.
    pub max_instances: usize,
    /// How many more may be lined up behind these.
    pub max_lined_up: usize,
    /// What was planned.
    pub plan: Plan,
    /// What to say of its skips besides their reason.
    pub note: Option<String>,
}

/// Settles due fire times as planned.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The caller's lease.
    pub token: LeaseToken,
    /// The store's clock when the plans were made, or the instant for which they were made ahead: they are
    /// refused before it, and when they are older than a second.
    pub planned_at: Timestamp,
    /// The planned jobs, each at most once.
    pub items: Vec<DispatchItem>,
}

/// How old a plan may be when it is dispatched. A leader that froze between peek and dispatch would
/// otherwise fire late what its policy calls misfired.
pub const MAX_PLAN_AGE: Duration = Duration::from_secs(1);

/// What became of a dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DispatchAnswer {
    /// Done, but for these.
    Dispatched {
        /// Items that were not as planned.
        refused: Vec<Refused>,
    },
    /// The lease is no longer the caller's. Nothing was done.
    LeaseLost,
    /// The plans are too old, or for later. Nothing was done.
    Stale,
}

/// An item that was not as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the request.
    pub index: usize,
    /// Why.
    pub why: Refusal,
}

/// Why an item was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Due time or version moved on: planned for a job that is not like that any more.
    Changed,
    /// The fire time has been settled before: the job must move past this one.
    Fired(Timestamp),
    /// Runs came in flight meanwhile: too many for the plan.
    Full,
}

/// A due job that nobody can plan; or one whose pause has ended, and that nobody can bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkItem {
    /// The job.
    pub job: JobId,
    /// Its due time, as peeked; of one whose pause has ended, when that was seen.
    pub due: Timestamp,
    /// Its version, as peeked; 0 where it has none.
    pub version: Version,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// Sets jobs aside whose definition is missing or cannot be read.
#[derive(Clone, Debug)]
pub struct Park {
    /// The caller's lease.
    pub token: LeaseToken,
    /// The jobs.
    pub jobs: Vec<ParkItem>,
}

/// Moves runs whose waiting time is over to their ready queues.
#[derive(Clone, Debug)]
pub struct Promote {
    /// The caller's lease.
    pub token: LeaseToken,
    /// The runs, as peeked.
    pub retries: Vec<DueRetry>,
}

/// A job whose runs may be let go that are lined up.
#[derive(Clone, Debug)]
pub struct AdmitItem {
    /// The job.
    pub job: JobId,
    /// The version that the rest is of.
    pub version: Version,
    /// The queue of its runs.
    pub queue: QueueName,
    /// Which of the queue's runs its runs wait with.
    pub priority: Priority,
    /// How many runs may be in flight at once. With 0 none is let go, and the job is no longer
    /// shown as one with room: for jobs that nobody can read.
    pub max_instances: usize,
}

/// Lets runs go that were lined up behind others of their job.
#[derive(Clone, Debug)]
pub struct Admit {
    /// The caller's lease.
    pub token: LeaseToken,
    /// The jobs, each at most once.
    pub items: Vec<AdmitItem>,
}

/// A job that follows the end of a run.
#[derive(Clone, Debug)]
pub struct FollowItem {
    /// The job.
    pub job: JobId,
    /// The version that the rest is of.
    pub version: Version,
    /// The queue of its runs.
    pub queue: QueueName,
    /// Which of the queue's runs its runs wait with.
    pub priority: Priority,
    /// How many runs may be in flight at once.
    pub max_instances: usize,
    /// How many more may be lined up behind these.
    pub max_lined_up: usize,
    /// What was decided.
    pub follow: Follow,
}

/// Follows ends of runs, and moves the cursor past them.
#[derive(Clone, Debug)]
pub struct FollowUp {
    /// The caller's lease.
    pub token: LeaseToken,
    /// Where the cursor stood; none where there was none.
    pub from: Option<Cursor>,
    /// Where it stands then.
    pub to: Cursor,
    /// What is to be done, at most 200.
    pub items: Vec<FollowItem>,
}

/// What became of following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowAnswer {
    /// It was done.
    Followed,
    /// The cursor stands elsewhere, or a job has another version. Nothing was done.
    Changed,
    /// The lease is no longer the caller's. Nothing was done.
    LeaseLost,
}

/// Removes jobs whose schedule is over.
#[derive(Clone, Debug)]
pub struct Retire {
    /// The caller's lease.
    pub token: LeaseToken,
    /// The jobs, as peeked.
    pub jobs: Vec<JobId>,
}

/// Forgets what is past keeping.
#[derive(Clone, Debug)]
pub struct Tidy {
    /// The caller's lease.
    pub token: LeaseToken,
    /// How many history records to keep.
    pub keep_history: u64,
    /// How long to keep them; for however long, where this says nothing.
    pub keep_history_for: Option<Duration>,
    /// How long to remember answers to requests.
    pub keep_requests: Duration,
    /// How long to remember the fire times of removed jobs, and their records where their policies
    /// keep these by number alone.
    pub keep_fired: Duration,
    /// How many failed runs to keep.
    pub keep_failed: u64,
    /// How long to keep each of them.
    pub keep_failed_for: Duration,
}

/// What became of forgetting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TidyAnswer {
    /// Nothing is left that is past keeping.
    Done,
    /// There is more to forget than one call may.
    More,
    /// The lease is no longer the caller's. Nothing was done.
    LeaseLost,
}
