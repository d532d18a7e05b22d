//! Runs that somebody asks for, beside the schedule.

use scheduler_core::store::{RequestId, RunNow, RunNowAnswer};
use scheduler_core::{Cause, Job, JobId, QueueName, RunId, Store, StoredJob, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::client::{Jobs, Rounds, new_request, readable, uuid_at};
use super::retry::until_known;
use super::telling;
use super::{JobsError, RunRequested};

impl<S: Store> Jobs<S> {
    /// Makes a run of a job now, beside its schedule. A paused job may be run, too.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn run_now(&self, id: &JobId) -> Result<RunRequested, JobsError> {
        let made = |stored: StoredJob, now| (Some(Cause::Request(uuid_at(now))), stored.job);
        self.make_run(id, made, request_of).await
    }

    /// Makes a run of a job now, with other args than the job's. The run keeps them through all its
    /// attempts, whatever becomes of the job meanwhile.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn run_now_with(&self, id: &JobId, args: &Value) -> Result<RunRequested, JobsError> {
        let made = |stored: StoredJob, now| {
            let cause = Cause::with_own_definition(now, Uuid::new_v4());
            (cause, stored.job.with_args(args.clone()))
        };
        self.make_run(id, made, request_of).await
    }

    /// Makes a run of a job now, with other args than the job's if these are given, whose id is made of
    /// this instant and this number: asked for again with the same, it is the same run, for as long as
    /// the store remembers requests.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    #[cfg(feature = "http")]
    pub(crate) async fn run_now_as(
        &self,
        id: &JobId,
        args: Option<&Value>,
        (since, unique): (Timestamp, Uuid),
    ) -> Result<RunRequested, JobsError> {
        let made = |stored: StoredJob, _| match args {
            None => (Some(Cause::Request(unique)), stored.job),
            Some(args) => {
                let cause = Cause::with_own_definition(since, unique);
                (cause, stored.job.with_args(args.clone()))
            }
        };
        // What was a conflict is remembered as one: each round asks anew, and each time in the same way.
        let request = |round: u32, _: &Cause| {
            RequestId(Uuid::from_u128(unique.as_u128() ^ u128::from(round)))
        };
        self.make_run(id, made, request).await
    }

    /// Makes a run of a job now that makes up for the fire time `fire`, in this queue or the job's.
    /// One that is in flight already is not made again.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn make_up_for(
        &self,
        id: &JobId,
        fire: Timestamp,
        queue: Option<&QueueName>,
    ) -> Result<RunRequested, JobsError> {
        let made = |stored: StoredJob, _| {
            let job = match queue {
                Some(queue) => stored.job.in_queue(queue.clone()),
                None => stored.job,
            };
            (Cause::backfill(id, fire), job)
        };
        self.make_run(id, made, request_of).await
    }

    /// Makes a run of what `made` makes of the job as it is, at the moment that it is told.
    async fn make_run(
        &self,
        id: &JobId,
        made: impl Fn(StoredJob, Timestamp) -> (Option<Cause>, Job),
        request: impl Fn(u32, &Cause) -> RequestId,
    ) -> Result<RunRequested, JobsError> {
        let mut rounds = Rounds::new(id);
        let mut round = 0;
        loop {
            let read = self.read(id).await?;
            let now = read.now;
            let Some(stored) = readable(id, read)? else {
                return Ok(RunRequested::NotFound);
            };
            let version = stored.version;
            let (Some(cause), job) = made(stored, now) else {
                return Ok(RunRequested::TooEarly);
            };
            let request = RunNow {
                request: request(round, &cause),
                cause,
                job,
                version,
            };
            match until_known(|| self.store().run_now(&request)).await? {
                RunNowAnswer::Made => {
                    let job = id.clone();
                    let run = RunId { job, cause };
                    telling::submitted(self.store(), [&run]).await;
                    return Ok(RunRequested::Made(run));
                }
                RunNowAnswer::Full { in_flight } => return Ok(RunRequested::Full { in_flight }),
                RunNowAnswer::Conflict => {
                    rounds.again()?;
                    round += 1;
                }
            }
        }
    }
}

/// A run that is made anew each time is its request; one that makes up for a fire time may be asked for
/// again, and then answered otherwise.
fn request_of(_: u32, cause: &Cause) -> RequestId {
    match cause {
        Cause::Request(unique) if cause.stands_for().is_none() => RequestId(*unique),
        _ => new_request(),
    }
}
