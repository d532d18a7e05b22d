//! Requests and answers of those who change jobs.

use std::sync::Arc;

use uuid::Uuid;

use crate::change::{Change, StoredJob, UnreadableJob};
use crate::id::{Cause, JobId, Version};
use crate::job::Job;
use crate::plan::Skip;
use crate::time::Timestamp;

/// Identifies a client's request through all its retries. Made once, before the first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_text(self) -> String {
        self.0.simple().to_string()
    }
}

/// What a caller needs to know to write a job: the job as stored, and the store's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct JobWrite {
    /// The job as stored, if it is and can be read.
    pub stored: Option<StoredJob>,
    /// The job as stored, if it is and cannot be read.
    pub unreadable: Option<UnreadableJob>,
    /// The highest fire time that has been settled, also of a job that was removed.
    pub fired: Option<Timestamp>,
    /// The store's clock at this moment.
    pub now: Timestamp,
}

/// Writes jobs.
#[derive(Clone, Debug)]
pub struct PutJob {
    /// The request.
    pub request: RequestId,
    /// The jobs, each at most once, each with the version that it must still have: none where
    /// there must be no such job.
    pub changes: Vec<(Option<Version>, Change)>,
    /// Whether all of it is to be written in one step, or nothing: then at most
    /// [`MAX_ALL_OR_NONE`] jobs. Otherwise each is judged on its own.
    pub all_or_none: bool,
}

/// How many jobs may be put all or none: about so many hold up other callers of a store on Redis for a
/// tenth of a second.
pub const MAX_ALL_OR_NONE: usize = 10_000;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was done; the job now has this version.
    Done(Version),
    /// The job is not as it was read: changed, removed, put, or dispatched meanwhile. Or another one is
    /// refused that was to be put all or none with it.
    Conflict,
    /// Another job holds the [unique key](crate::unique) that this one would take.
    Taken,
}

/// Puts a job that takes the place of another one, which holds its [unique key](crate::unique).
#[derive(Clone, Debug)]
pub struct Supersede {
    /// The request.
    pub request: RequestId,
    /// The job that holds the key.
    pub holder: JobId,
    /// How that one is removed, if it is stored: its request says nothing.
    pub removal: Option<RemoveJob>,
    /// The version that the job that is put must still have: none where there must be no such job.
    pub expected: Option<Version>,
    /// The job that is put.
    pub change: Change,
}

/// Removes a job.
#[derive(Clone, Debug)]
pub struct RemoveJob {
    /// The request.
    pub request: RequestId,
    /// The job.
    pub job: JobId,
    /// The version that it must still have.
    pub version: Version,
    /// The due time that it must still have.
    pub next_fire: Option<Timestamp>,
    /// Fire times that the removal settles.
    pub skips: Vec<Skip>,
    /// What history tells of those that passed in a pause: who paused the job, and why.
    pub detail: Option<String>,
    /// The first fire time that it does not settle, as far as is known: it must not be due yet.
    pub next: Option<Timestamp>,
}

/// Makes a run now.
#[derive(Clone, Debug)]
pub struct RunNow {
    /// The request.
    pub request: RequestId,
    /// What the run is made for: a [`Cause::Request`]. One that is in flight already is not made
    /// again.
    pub cause: Cause,
    /// The job, as read; or what the run is to execute in its place, where the cause
    /// [has a definition of its own](Cause::has_own_definition): that is kept for as long as the job
    /// has runs in flight, and the run stays bound to it through all its attempts, whatever becomes
    /// of the job. The run waits in the queue that this says.
    pub job: Job,
    /// The version that it must still have.
    pub version: Version,
}

impl RunNow {
    /// How many runs may be lined up behind those that the job allows at once, this one included.
    ///
    /// None where this one makes up for a fire time, or executes something of its own: what is lined
    /// up goes as the job is by then, and what makes up for the past must not keep what is due from
    /// its place.
    #[must_use]
    pub fn max_lined_up(&self) -> usize {
        if self.cause.has_own_definition() || self.cause.stands_for().is_some() {
            return 0;
        }
        self.job.policy().max_lined_up()
    }
}

/// What became of asking for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunNowAnswer {
    /// The run was made.
    Made,
    /// The job is not as it was read.
    Conflict,
    /// As many runs as the job allows are in flight.
    Full {
        /// How many that are.
        in_flight: usize,
    },
}

/// A definition, as looked up by version.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// Here it is.
    Found(Arc<Job>),
    /// There is none (any more).
    Gone,
    /// There is a record, which this version cannot read.
    Unreadable(String),
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// Jobs.
    pub jobs: Vec<StoredJob>,
    /// Ids whose record could not be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}
