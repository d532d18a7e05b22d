//! What may be asked about jobs, and what becomes of it.

use std::time::Duration;

use scheduler_core::after::Circle;
use scheduler_core::change::ChangeError;
use scheduler_core::shard::Apart;
use scheduler_core::{
    Job, JobId, PatchError, Pause, RunId, StoreError, StoredJob, Timestamp, UniqueKey, Version,
};

/// What to do where a job of the same id is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave the stored one, and say so: an error of whoever asked. The default.
    #[default]
    Refuse,
    /// Leave the stored one: that is fine.
    Keep,
    /// Put the new definition in its place. Due times that have come stay the job's; whether it is
    /// paused stays as it is.
    Replace,
    /// The same, if it still has this version.
    ReplaceVersion(Version),
}

/// A job to put.
#[derive(Clone, Debug, PartialEq)]
pub struct PutWish {
    /// The job.
    pub job: Job,
    /// What to do where there is one of the same id.
    pub on_conflict: OnConflict,
}

impl PutWish {
    /// Whether it is refused where there is one of the same id.
    pub(super) const fn refuses_others(&self) -> bool {
        matches!(self.on_conflict, OnConflict::Refuse)
    }
}

/// When a job runs that runs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// As soon as a node has room for it.
    Now,
    /// At this instant; at once where that has passed.
    At(Timestamp),
    /// So long from now, by the store's clock.
    After(Duration),
}

/// What became of putting a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none of this id; now there is.
    Added,
    /// It took the place of another definition, or brought back a parked job.
    Replaced,
    /// The very same definition was there: nothing was written.
    Unchanged,
    /// Another definition was there and stays, as was asked for.
    Kept,
    /// One of this id was there: nothing was written.
    Exists,
    /// One of this id was there that cannot be read, for this reason, and it stays: it was to be
    /// kept, or a newer version wrote it.
    Unreadable(String),
    /// The one that is there has another version than was expected, or there is none any more:
    /// nothing was written.
    ChangedMeanwhile,
    /// Its schedule is over: nothing was written.
    Over(ChangeError),
    /// This job holds its unique key, and duplicates are ignored: nothing was written.
    Ignored(JobId),
    /// This job holds its unique key, and that is an error of whoever asked: nothing was written.
    KeyTaken(JobId),
    /// It took the place of this job, which held its unique key, and was removed if it was stored.
    Superseded(JobId),
}

impl Put {
    /// Whether somebody wanted something that was not done.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Exists
            | Self::Unreadable(_)
            | Self::ChangedMeanwhile
            | Self::Over(_)
            | Self::KeyTaken(_) => true,
            Self::Added
            | Self::Replaced
            | Self::Unchanged
            | Self::Kept
            | Self::Ignored(_)
            | Self::Superseded(_) => false,
        }
    }
}

/// What became of changing some fields of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modified {
    /// It was done; the job now has this version.
    Done(Version),
    /// The job was so already: nothing was written.
    Unchanged(Version),
    /// There is no such job.
    NotFound,
    /// The change breaks a rule: nothing was written.
    Refused(PatchError),
}

/// A pause, as somebody wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PauseWish {
    /// When it ends by itself. Defaults to never.
    pub end: Option<PauseEnd>,
    /// Who pauses the job.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// When a pause ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseEnd {
    /// At this instant: fire times from then on become runs again.
    Until(Timestamp),
    /// So long after now, by the store's clock.
    For(Duration),
}

impl PauseWish {
    pub(super) fn pause(&self, now: Timestamp) -> Pause {
        let until = self.end.map(|end| match end {
            PauseEnd::Until(until) => until,
            PauseEnd::For(duration) => now.after(duration),
        });
        Pause {
            since: Some(now),
            until,
            by: self.by.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// What became of pausing or resuming a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It was done.
    Done,
    /// The job was so already.
    Already,
    /// The pause was to end at an instant that has passed: nothing was written.
    Ended,
    /// There is no such job.
    NotFound,
}

/// What became of removing a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It was done.
    Done,
    /// There is no such job.
    NotFound,
}

/// What became of bringing back a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// There was none of this id; now there is.
    Added,
    /// It took the place of another definition or state.
    Replaced,
    /// It was there just so.
    Unchanged,
    /// One of this id was there, and stays, as was asked for.
    Kept,
    /// One of this id was there that is otherwise: nothing was written.
    Exists,
    /// One of this id was there that cannot be read: nothing was written.
    Unreadable(String),
    /// Its schedule is over: nothing was written.
    Over,
    /// This job holds its unique key: nothing was written.
    KeyTaken(JobId),
}

/// What became of asking for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunRequested {
    /// This run was made, and waits for a node.
    Made(RunId),
    /// As many runs as the job allows are in flight.
    Full {
        /// How many that are.
        in_flight: usize,
    },
    /// There is no such job.
    NotFound,
    /// It was to be for a time before 1970.
    TooEarly,
}

/// All jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobList {
    /// The jobs, by id.
    pub jobs: Vec<StoredJob>,
    /// Ids whose record this version cannot read, and why.
    pub unreadable: Vec<(String, String)>,
}

/// What kept a wish from being settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobsError {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job is there, and this version cannot read it.
    #[error("job {job}: cannot be read: {why}")]
    Unreadable {
        /// The job.
        job: JobId,
        /// Why.
        why: String,
    },
    /// The job does not have the version that the change was made for: somebody changed it since.
    /// Nothing was written.
    #[error("job {job}: changed meanwhile: it has version {found}, and {expected} was expected")]
    ChangedMeanwhile {
        /// The job.
        job: JobId,
        /// The version that it should have.
        expected: Version,
        /// The version that it has.
        found: Version,
    },
    /// Another job holds the unique key. Nothing was written.
    #[error("the unique key {key:?} is held by job {by}")]
    KeyTaken {
        /// The key.
        key: UniqueKey,
        /// The job that holds it.
        by: JobId,
    },
    /// Others changed the job each time between reading and writing it.
    #[error("job {job}: changed by others {rounds} times in a row while it was to be written")]
    Contended {
        /// The job.
        job: JobId,
        /// How often it was tried.
        rounds: u32,
    },
    /// Jobs would follow one another in a circle. Nothing was written.
    #[error("job {}: {_0}", _0.0[0])]
    Circle(#[from] Circle),
    /// What must be in one shard would be in two. Nothing was written.
    #[error(transparent)]
    Apart(#[from] Apart),
}
