//! What keeps a scheduler from being put together, and from doing what it was asked for.

use std::fmt;

use scheduler_core::change::ChangeError;
use scheduler_core::patch::PatchError;
use scheduler_core::shard::ShardCount;
use scheduler_core::{JobError, JobId, NameError, StoreError, TaskName};

use crate::jobs::JobsError;
use crate::task::StateType;

/// A scheduler that cannot be put together. Shown as what is wrong, and how to put it right.
#[derive(Debug)]
pub struct BuildError(Kind);

#[derive(Debug)]
enum Kind {
    TaskName { name: String, error: NameError },
    MissingState { task: TaskName, state: StateType },
    Timezone { name: String },
    Job { job: String, error: JobError },
    DeclaredTwice { what: &'static str, name: String },
    Concurrency { slots: usize, shards: ShardCount },
}

impl BuildError {
    pub(super) fn task_name(name: &str, error: NameError) -> Self {
        let name = name.to_owned();
        Self(Kind::TaskName { name, error })
    }

    pub(super) fn missing_state(task: &TaskName, state: StateType) -> Self {
        let task = task.clone();
        Self(Kind::MissingState { task, state })
    }

    pub(super) fn timezone(name: &str) -> Self {
        let name = name.to_owned();
        Self(Kind::Timezone { name })
    }

    pub(super) fn job(job: String, error: JobError) -> Self {
        Self(Kind::Job { job, error })
    }

    pub(super) const fn concurrency(slots: usize, shards: ShardCount) -> Self {
        Self(Kind::Concurrency { slots, shards })
    }

    pub(super) fn declared_twice(what: &'static str, name: &str) -> Self {
        let name = name.to_owned();
        Self(Kind::DeclaredTwice { what, name })
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::TaskName { name, error } => write!(f, "task {name:?}: {error}"),
            Kind::MissingState { task, state } => write!(
                f,
                "task {:?} takes State<{name}>, and the scheduler has none: add `.state(..)` with \
                 a value of type {name}",
                task.as_str(),
                name = state.name()
            ),
            Kind::Timezone { name } => write!(
                f,
                "timezone {name:?}: is no time zone; give a name such as \"Europe/Berlin\" or \"UTC\""
            ),
            Kind::Job { job, error } => write!(f, "job {job:?}: {error}"),
            Kind::DeclaredTwice { what, name } => write!(f, "{what} {name:?} is declared twice"),
            Kind::Concurrency { slots, shards } => write!(
                f,
                "a concurrency of {slots} is too low for {shards} shards: each needs one slot at least"
            ),
        }
    }
}

impl std::error::Error for BuildError {}

/// A scheduler could not do what it was asked for with a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// The text is no job's id.
    #[error("job {job:?}: {error}")]
    Name {
        /// The text.
        job: String,
        /// The rule that it breaks.
        error: NameError,
    },
    /// The job breaks a rule.
    #[error("job {job:?}: {error}")]
    Job {
        /// Its id, as typed.
        job: String,
        /// The field, its value and the rule.
        error: JobError,
    },
    /// The change breaks a rule: nothing was done.
    #[error("job {job:?}: {error}")]
    Modify {
        /// The id.
        job: String,
        /// The field, its value and the rule.
        error: PatchError,
    },
    /// There is one of this id already.
    #[error("job {job:?}: there is one already; say `replace_existing()` or `keep_existing()`")]
    Exists {
        /// The id.
        job: String,
    },
    /// There is none of this id.
    #[error("job {job:?}: there is none")]
    NotFound {
        /// The id.
        job: String,
    },
    /// Nothing would ever come of its schedule.
    #[error("job {job:?}: {why}")]
    Over {
        /// The id.
        job: String,
        /// Why.
        why: ChangeError,
    },
    /// Another job holds its unique key, and that is to be an error.
    #[error("job {job:?}: its unique key is held by job {by}")]
    KeyTaken {
        /// The id.
        job: String,
        /// The job that holds the key.
        by: JobId,
    },
    /// One of this id is stored that cannot be read, and it stays.
    #[error("job {job:?}: the stored one stays, and it cannot be read: {why}")]
    Unreadable {
        /// The id.
        job: String,
        /// Why.
        why: String,
    },
    /// As many of its runs as it allows are in flight.
    #[error("job {job:?}: {in_flight} of its runs are in flight, and it allows no more")]
    Full {
        /// The id.
        job: String,
        /// How many that are.
        in_flight: usize,
    },
    /// The pause was to end at an instant that has passed: nothing was done.
    #[error("job {job:?}: the pause would have ended already")]
    PauseEnded {
        /// The id.
        job: String,
    },
    /// The run was to be for a time before 1970: nothing was done.
    #[error("job {job:?}: a run of a time before 1970 cannot be made")]
    TooEarly {
        /// The id.
        job: String,
    },
    /// The jobs of the store could not be read or written.
    #[error(transparent)]
    Jobs(#[from] JobsError),
}

impl SchedulerError {
    /// The store's error, where the store could not answer.
    #[must_use]
    pub const fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Jobs(JobsError::Store(error)) => Some(error),
            _ => None,
        }
    }
}
