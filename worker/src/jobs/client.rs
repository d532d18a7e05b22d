//! The operations: read, decide, write if unchanged.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use scheduler_core::change::{self, Change, ChangeError, Saved, UnreadableJob};
use scheduler_core::store::{
    Changed, JobWrite, PutJob, RemoveJob, RequestId, RunNow, RunNowAnswer, StoreResult,
};
use scheduler_core::trigger::{DateSpec, TriggerSpec};
use scheduler_core::{
    Cause, Job, JobBuilder, JobDefaults, JobError, JobId, JobPatch, PatchError, Pause, QueueName,
    RunId, Store, StoredJob, TaskName, Timestamp, Version,
};
use serde_json::Value;
use uuid::{NoContext, Uuid};

use super::retry::until_known;
use super::search::{Found, JobQuery};
use super::{
    JobList, JobsError, Modified, OnConflict, Once, PauseWish, Put, PutWish, Removed, Restored,
    RunRequested, Switched,
};
use crate::config::join;
use crate::task::builtin;

/// How many jobs are written in one step.
const BATCH: usize = 200;

/// How many jobs are read in one step of a listing.
const PAGE: usize = 500;

/// How often a change is decided anew because somebody else came first. Each time, somebody else
/// did get something done; so many times in a row is no coincidence any more.
const MAX_ROUNDS: u32 = 50;

/// The jobs of a store. See the [module](super).
#[derive(Clone, Debug)]
pub struct Jobs<S> {
    store: S,
    remembered: Option<Duration>,
    expected: Option<Version>,
}

impl<S: Store> Jobs<S> {
    /// The jobs of `store`.
    pub const fn new(store: S) -> Self {
        Self {
            store,
            remembered: None,
            expected: None,
        }
    }

    /// For a change that was decided on a job as it was seen: whatever is asked of a job that has
    /// another version is refused with [`JobsError::ChangedMeanwhile`]. Without it, a change is
    /// decided on the job as it is found.
    #[must_use]
    pub const fn expecting(mut self, version: Version) -> Self {
        self.expected = Some(version);
        self
    }

    /// For jobs that are put again and again, as those of a file with each start: one that is not
    /// stored and whose schedule has been over for longer than `fired` counts as over.
    ///
    /// The store remembers for so long what was settled of a job that is gone (see
    /// [`Retention::fired`](crate::Retention::fired)). Put once more after that, a `date` would look
    /// as if it had never fired. A fire that is only late is not lost by this: a job that was put
    /// before its time stays stored until it has fired, however long nobody leads.
    #[must_use]
    pub fn put_repeatedly(mut self, fired: Duration) -> Self {
        self.remembered = Some(fired);
        self
    }

    /// The store's clock.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn now(&self) -> Result<Timestamp, JobsError> {
        Ok(until_known(|| self.store.overview()).await?.now)
    }

    /// Puts a job of this task that runs once, under an id that is made for it; answers with that.
    /// `with` says what there is to say of it besides. It leaves the store after its run, unless its
    /// policy keeps it; its history stays.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn once(
        &self,
        task: TaskName,
        when: Once,
        with: impl FnOnce(JobBuilder) -> JobBuilder,
    ) -> Result<JobId, JobsError> {
        let now = self.now().await?;
        let at = match when {
            Once::Now => now,
            Once::At(at) => at,
            Once::After(delay) => now.after(delay),
        };
        let id = JobId::new(new_id(task.as_str(), now)).expect("a word and a number are an id");
        let date = TriggerSpec::Date(DateSpec {
            run_date: Some(at.to_string()),
            ..DateSpec::default()
        });
        let trigger = date.resolve(chrono_tz::UTC).expect("an instant is a date");
        let job = with(Job::builder(id.clone(), task, trigger)).build();
        self.put(job, OnConflict::Refuse).await?;
        Ok(id)
    }

    /// The job of this id.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn get(&self, id: &JobId) -> Result<Option<StoredJob>, JobsError> {
        readable(id, self.read(id).await?)
    }

    /// All jobs, by id.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn list(&self) -> Result<JobList, JobsError> {
        self.search(&JobQuery::default()).await
    }

    /// The jobs that a query asks for. With a limit, no more than so many are held at any time,
    /// however many there are.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn search(&self, query: &JobQuery) -> Result<JobList, JobsError> {
        let mut found = Found::of(query);
        let mut cursor: Option<String> = None;
        loop {
            let page = until_known(|| self.store.job_page(cursor.as_deref(), PAGE)).await?;
            found.take_in(page.jobs, page.unreadable);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(found.into_list());
            }
        }
    }

    /// Puts a job.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn put(&self, job: Job, on_conflict: OnConflict) -> Result<Put, JobsError> {
        let wish = PutWish { job, on_conflict };
        let mut outcomes = self.put_all(std::slice::from_ref(&wish)).await?;
        Ok(outcomes.pop().expect("one outcome for one wish"))
    }

    /// Puts many jobs, in few steps; tells for each what became of it, in order. Of several with
    /// the same id, a later one finds what an earlier one left.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing a job. Some may have been put: asking
    /// again completes it.
    pub async fn put_all(&self, wishes: &[PutWish]) -> Result<Vec<Put>, JobsError> {
        let mut outcomes: Vec<Option<Put>> = vec![None; wishes.len()];
        let mut rounds: Vec<Rounds<'_>> = wishes.iter().map(|w| Rounds::new(w.job.id())).collect();
        let mut pending: VecDeque<usize> = (0..wishes.len()).collect();
        while !pending.is_empty() {
            let batch = next_batch(wishes, &mut pending);
            let settled = self.put_batch(wishes, &batch).await?;
            for (index, outcome) in batch.into_iter().zip(settled).rev() {
                if outcome.is_none() {
                    rounds[index].again()?;
                    pending.push_front(index);
                }
                outcomes[index] = outcome;
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Changes some fields of a job: all of them, or none where one breaks a rule. What is put back
    /// to its default takes it from `defaults`.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn modify(
        &self,
        id: &JobId,
        patch: &JobPatch,
        defaults: &JobDefaults,
    ) -> Result<Modified, JobsError> {
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            let now = read.now;
            let Some(stored) = readable(id, read)? else {
                return Ok(Modified::NotFound);
            };
            let change = match decide_patch(patch, &stored, defaults, now) {
                Ok(Some(change)) => change,
                Ok(None) => return Ok(Modified::Unchanged(stored.version)),
                Err(error) => return Ok(Modified::Refused(error)),
            };
            match self.write(vec![(Some(stored.version), change)]).await?[..] {
                [Changed::Done(version)] => return Ok(Modified::Done(version)),
                _ => rounds.again()?,
            }
        }
    }

    /// Pauses a job: its fire times no longer become runs, until it is resumed.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn pause(&self, id: &JobId) -> Result<Switched, JobsError> {
        self.pause_with(id, &PauseWish::default()).await
    }

    /// Pauses a job, and says who does so, why, or until when: then it comes back by itself. Of a job
    /// that is paused already, these change.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn pause_with(&self, id: &JobId, wish: &PauseWish) -> Result<Switched, JobsError> {
        self.switch(id, |stored, now| {
            let pause = wish.pause(now);
            if pause.until.is_some_and(|until| until <= now) {
                return Err(Switched::Ended);
            }
            change::pause_with(stored, pause, now).ok_or(Switched::Already)
        })
        .await
    }

    /// Resumes a paused job: what passed meanwhile is recorded as skipped. Brings back a parked one.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn resume(&self, id: &JobId) -> Result<Switched, JobsError> {
        self.switch(id, |stored, now| {
            change::resume(stored, now).ok_or(Switched::Already)
        })
        .await
    }

    /// Removes a job. Runs that have begun go on; those that wait end as removed.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn remove(&self, id: &JobId) -> Result<Removed, JobsError> {
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            let (version, next_fire, skips, state) = match (&read.stored, &read.unreadable) {
                (Some(job), _) => {
                    let skips = change::remove(job, read.now);
                    (job.version, job.next_fire, skips, &job.state)
                }
                (None, Some(job)) => {
                    let skip = change::remove_unreadable(job, read.now);
                    (job.version, job.next_fire, Vec::from_iter(skip), &job.state)
                }
                (None, None) => return Ok(Removed::NotFound),
            };
            let request = RemoveJob {
                request: new_request(),
                job: id.clone(),
                version,
                next_fire,
                skips,
                detail: state.pause().and_then(Pause::words),
            };
            match until_known(|| self.store.remove(&request)).await? {
                Changed::Done(_) => return Ok(Removed::Done),
                Changed::Conflict => rounds.again()?,
            }
        }
    }

    /// Makes a run of a job now, beside its schedule. A paused job may be run, too.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn run_now(&self, id: &JobId) -> Result<RunRequested, JobsError> {
        let made = |stored: StoredJob, now| (Some(Cause::Request(uuid_at(now))), stored.job);
        self.make_run(id, made).await
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
        self.make_run(id, made).await
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
        self.make_run(id, made).await
    }

    /// Makes a run of what `made` makes of the job as it is, at the moment that it is told.
    async fn make_run(
        &self,
        id: &JobId,
        made: impl Fn(StoredJob, Timestamp) -> (Option<Cause>, Job),
    ) -> Result<RunRequested, JobsError> {
        let mut rounds = Rounds::new(id);
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
                // A run that is made anew each time is its request; one that makes up for a fire time
                // may be asked for again, and then answered otherwise.
                request: match cause {
                    Cause::Request(unique) if cause.stands_for().is_none() => RequestId(unique),
                    _ => new_request(),
                },
                cause,
                job,
                version,
            };
            match until_known(|| self.store.run_now(&request)).await? {
                RunNowAnswer::Made => {
                    let job = id.clone();
                    return Ok(RunRequested::Made(RunId { job, cause }));
                }
                RunNowAnswer::Full { in_flight } => return Ok(RunRequested::Full { in_flight }),
                RunNowAnswer::Conflict => rounds.again()?,
            }
        }
    }

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    /// Brings back a job as it stood somewhere, with its pause and when it was to run next.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn restore(
        &self,
        saved: &Saved,
        on_conflict: OnConflict,
    ) -> Result<Restored, JobsError> {
        let id = saved.job.id();
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            if let Some(unreadable) = read.unreadable {
                return Ok(Restored::Unreadable(unreadable.why));
            }
            let stored = read.stored.as_ref();
            let is_there = stored.is_some_and(|stored| is_so_already(stored, saved));
            match (stored, on_conflict) {
                (Some(_), _) if is_there => return Ok(Restored::Unchanged),
                (Some(_), OnConflict::Refuse) => return Ok(Restored::Exists),
                (Some(_), OnConflict::Keep) => return Ok(Restored::Kept),
                _ => {}
            }
            let change = change::restore(saved.clone(), stored, read.fired, read.now);
            let Ok(change) = change else {
                return Ok(Restored::Over);
            };
            let expected = stored.map(|stored| stored.version);
            match self.write(vec![(expected, change)]).await?[..] {
                [Changed::Done(_)] if expected.is_some() => return Ok(Restored::Replaced),
                [Changed::Done(_)] => return Ok(Restored::Added),
                _ => rounds.again()?,
            }
        }
    }

    pub(super) async fn read(&self, id: &JobId) -> Result<JobWrite, JobsError> {
        let ids = std::slice::from_ref(id);
        let mut read = until_known(|| self.store.jobs(ids)).await?;
        let read = read.pop().expect("the store answers for each id");
        self.check_version(id, &read)?;
        Ok(read)
    }

    /// Whether the job is the one that the change was made for.
    fn check_version(&self, id: &JobId, read: &JobWrite) -> Result<(), JobsError> {
        let stored = read.stored.as_ref().map(|job| job.version);
        let found = stored.or(read.unreadable.as_ref().map(|job| job.version));
        match (self.expected, found) {
            (Some(expected), Some(found)) if expected != found => {
                let job = id.clone();
                Err(JobsError::ChangedMeanwhile {
                    job,
                    expected,
                    found,
                })
            }
            _ => Ok(()),
        }
    }

    async fn switch(
        &self,
        id: &JobId,
        decide: impl Fn(&StoredJob, Timestamp) -> Result<Change, Switched>,
    ) -> Result<Switched, JobsError> {
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            let now = read.now;
            let Some(stored) = readable(id, read)? else {
                return Ok(Switched::NotFound);
            };
            let change = match decide(&stored, now) {
                Ok(change) => change,
                Err(otherwise) => return Ok(otherwise),
            };
            match self.write(vec![(Some(stored.version), change)]).await?[..] {
                [Changed::Done(_)] => return Ok(Switched::Done),
                _ => rounds.again()?,
            }
        }
    }

    /// One round for jobs of different ids; answers in their order, with none for a conflict.
    async fn put_batch(
        &self,
        wishes: &[PutWish],
        batch: &[usize],
    ) -> Result<Vec<Option<Put>>, JobsError> {
        let ids: Vec<JobId> = batch.iter().map(|i| wishes[*i].job.id().clone()).collect();
        let reads = until_known(|| self.store.jobs(&ids)).await?;
        let mut changes = Vec::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut written = Vec::new();
        for (index, read) in batch.iter().zip(&reads) {
            self.check_version(wishes[*index].job.id(), read)?;
            match decide(&wishes[*index], read, self.remembered) {
                Decision::Settled(outcome) => outcomes.push(Some(outcome)),
                Decision::Write(change, outcome) => {
                    let stored = read.stored.as_ref().map(|job| job.version);
                    let unreadable = read.unreadable.as_ref().map(|job| job.version);
                    changes.push((stored.or(unreadable), *change));
                    written.push(outcomes.len());
                    outcomes.push(Some(outcome));
                }
            }
        }
        if !changes.is_empty() {
            let answers = self.write(changes).await?;
            for (at, answer) in written.into_iter().zip(answers) {
                if answer == Changed::Conflict {
                    outcomes[at] = None;
                }
            }
        }
        Ok(outcomes)
    }

    async fn write(&self, changes: Vec<(Option<Version>, Change)>) -> StoreResult<Vec<Changed>> {
        let request = PutJob {
            request: new_request(),
            changes,
        };
        until_known(|| self.store.put(&request)).await
    }
}

/// Whether a job stands here as it stood there. When it runs next says nothing: it may have gone on.
fn is_so_already(stored: &StoredJob, saved: &Saved) -> bool {
    let is_paused_so = match (stored.state.pause(), saved.state.pause()) {
        (None, None) => true,
        (Some(here), Some(there)) => {
            (here.until, &here.by, &here.reason) == (there.until, &there.by, &there.reason)
        }
        _ => false,
    };
    stored.job == saved.job && is_paused_so && stored.parked.is_none()
}

/// What a partial change comes to; the args of built-in tasks are known here.
fn decide_patch(
    patch: &JobPatch,
    stored: &StoredJob,
    defaults: &JobDefaults,
    now: Timestamp,
) -> Result<Option<Change>, PatchError> {
    let change = patch.change(stored, defaults, now)?;
    let is_called_otherwise = !patch.task.is_keep() || !patch.args.is_keep();
    if let Some(change) = change.as_ref().filter(|_| is_called_otherwise) {
        builtin::check_args(change.job.task(), change.job.args()).map_err(|error| JobError {
            field: join("args", &error.field),
            message: error.message,
            pointer: None,
        })?;
    }
    Ok(change)
}

/// What putting a job comes to.
enum Decision {
    Settled(Put),
    /// To be written, with the outcome that it then has.
    Write(Box<Change>, Put),
}

impl Decision {
    fn of(change: Result<Change, ChangeError>, done: Put) -> Self {
        match change {
            Ok(change) => Self::Write(Box::new(change), done),
            Err(over) => Self::Settled(Put::Over(over)),
        }
    }
}

fn decide(wish: &PutWish, read: &JobWrite, remembered: Option<Duration>) -> Decision {
    let job = wish.job.clone();
    if let Some(stored) = &read.unreadable {
        return decide_unreadable(wish, stored, read);
    }
    let forgotten = remembered.map(|remembered| read.now.before(remembered));
    if let (None, Some(after)) = (&read.stored, forgotten)
        && change::is_over_since(&job, after, read.now)
    {
        return Decision::Settled(Put::Over(ChangeError::NeverFires { after }));
    }
    if let OnConflict::ReplaceVersion(version) = wish.on_conflict
        && read.stored.as_ref().map(|stored| stored.version) != Some(version)
    {
        return Decision::Settled(Put::ChangedMeanwhile);
    }
    let (change, done) = match (&read.stored, wish.on_conflict) {
        (None, _) => (change::put_new(job, read.fired, read.now), Put::Added),
        (Some(_), OnConflict::Refuse) => return Decision::Settled(Put::Exists),
        (Some(stored), _) if stored.job == job && stored.parked.is_none() => {
            return Decision::Settled(Put::Unchanged);
        }
        (Some(stored), OnConflict::Keep) if stored.job != job => {
            return Decision::Settled(Put::Kept);
        }
        // Also the very same definition, if the job is parked: writing it brings the job back.
        (Some(stored), OnConflict::Keep | OnConflict::Replace | OnConflict::ReplaceVersion(_)) => {
            (change::replace(stored, job, read.now), Put::Replaced)
        }
    };
    Decision::of(change, done)
}

/// A damaged record may be replaced; what a newer version wrote is that version's.
fn decide_unreadable(wish: &PutWish, stored: &UnreadableJob, read: &JobWrite) -> Decision {
    match wish.on_conflict {
        OnConflict::Refuse => Decision::Settled(Put::Exists),
        OnConflict::Replace if !stored.is_newer => {
            let job = wish.job.clone();
            let change = change::replace_unreadable(stored, job, read.fired, read.now);
            Decision::of(change, Put::Replaced)
        }
        OnConflict::Keep | OnConflict::Replace | OnConflict::ReplaceVersion(_) => {
            Decision::Settled(Put::Unreadable(stored.why.clone()))
        }
    }
}

/// The job as read, for who needs its definition.
fn readable(id: &JobId, read: JobWrite) -> Result<Option<StoredJob>, JobsError> {
    match read.unreadable {
        None => Ok(read.stored),
        Some(UnreadableJob { why, .. }) => {
            let job = id.clone();
            Err(JobsError::Unreadable { job, why })
        }
    }
}

/// Takes the next wishes whose ids all differ; the others wait, in order.
fn next_batch(wishes: &[PutWish], pending: &mut VecDeque<usize>) -> Vec<usize> {
    let mut ids = HashSet::new();
    let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
    for index in pending.drain(..) {
        if batch.len() < BATCH && ids.insert(wishes[index].job.id()) {
            batch.push(index);
        } else {
            rest.push_back(index);
        }
    }
    *pending = rest;
    batch
}

/// Counts how often a change was decided anew.
struct Rounds<'a> {
    job: &'a JobId,
    conflicts: u32,
}

impl<'a> Rounds<'a> {
    const fn new(job: &'a JobId) -> Self {
        Self { job, conflicts: 0 }
    }

    /// Allows another round, or not.
    fn again(&mut self) -> Result<(), JobsError> {
        self.conflicts += 1;
        if self.conflicts < MAX_ROUNDS {
            return Ok(());
        }
        Err(JobsError::Contended {
            job: self.job.clone(),
            rounds: self.conflicts,
        })
    }
}

/// An id for a job of this task that was made now: of the two, so that people can read it, and
/// nobody else makes the same.
#[must_use]
pub fn new_id(task: &str, now: Timestamp) -> String {
    format!("{task}-{}", uuid_at(now))
}

fn new_request() -> RequestId {
    RequestId(Uuid::new_v4())
}

/// A UUID v7 of the store's clock: it becomes the run's "scheduled at".
fn uuid_at(now: Timestamp) -> Uuid {
    let ms = u64::try_from(now.as_ms()).unwrap_or(0);
    let nanos = u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, ms / 1000, nanos))
}
