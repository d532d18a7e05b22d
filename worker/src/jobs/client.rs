//! Where all operations begin: reading a job, and writing it if it is as it was read.

use std::time::Duration;

use scheduler_core::change::{Change, UnreadableJob};
use scheduler_core::shard::{MAX_SHARDS, ShardCount};
use scheduler_core::store::{Changed, JobWrite, PutJob, RequestId};
use scheduler_core::{JobId, Store, StoredJob, Timestamp, UniqueKey, Version};
use uuid::{NoContext, Uuid};

use super::retry::until_known;
use super::search::{Found, JobQuery};
use super::telling;
use super::{JobList, JobsError};

/// How many jobs are read in one step of a listing.
const PAGE: usize = 500;

/// How often a change is decided anew because somebody else came first. Each time, somebody else
/// did get something done; so many times in a row is no coincidence any more.
const MAX_ROUNDS: u32 = 50;

/// The jobs of a store. See the [module](super).
#[derive(Clone, Debug)]
pub struct Jobs<S> {
    store: S,
    pub(super) remembered: Option<Duration>,
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
        Ok(until_known(|| self.store.clock()).await?)
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

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    pub(super) async fn read(&self, id: &JobId) -> Result<JobWrite, JobsError> {
        let ids = std::slice::from_ref(id);
        let mut read = until_known(|| self.store.jobs(ids)).await?;
        let read = read.pop().expect("the store answers for each id");
        self.check_version(id, &read)?;
        Ok(read)
    }

    /// Whether the job is the one that the change was made for.
    pub(super) fn check_version(&self, id: &JobId, read: &JobWrite) -> Result<(), JobsError> {
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

    pub(super) async fn write(
        &self,
        changes: Vec<(Option<Version>, Change)>,
        all_or_none: bool,
    ) -> Result<Vec<Changed>, JobsError> {
        self.check_chains(&changes).await?;
        let request = PutJob {
            request: new_request(),
            all_or_none,
            changes,
        };
        let answers = until_known(|| self.store.put(&request)).await?;
        telling::written(&self.store, &request.changes, &answers).await;
        Ok(answers)
    }

    /// Writes one job as it is to be after `before`, and says whether it still was that.
    pub(super) async fn write_one(
        &self,
        before: Option<&StoredJob>,
        version: Option<Version>,
        change: Change,
    ) -> Result<Changed, JobsError> {
        let changes = vec![(version, change)];
        self.check_chains(&changes).await?;
        let request = PutJob {
            request: new_request(),
            all_or_none: false,
            changes,
        };
        let answers = until_known(|| self.store.put(&request)).await?;
        if let ([(_, change)], [Changed::Done(version)]) = (&request.changes[..], &answers[..]) {
            let event = telling::changed(before, change, *version);
            telling::tell(&self.store, vec![event]).await;
            return Ok(Changed::Done(*version));
        }
        Ok(answers.first().copied().unwrap_or(Changed::Conflict))
    }
}

/// The job as read, for who needs its definition.
pub(super) fn readable(id: &JobId, read: JobWrite) -> Result<Option<StoredJob>, JobsError> {
    match read.unreadable {
        None => Ok(read.stored),
        Some(UnreadableJob { why, .. }) => {
            let job = id.clone();
            Err(JobsError::Unreadable { job, why })
        }
    }
}

/// Counts how often a change was decided anew.
pub(super) struct Rounds<'a> {
    job: &'a JobId,
    conflicts: u32,
}

impl<'a> Rounds<'a> {
    pub(super) const fn new(job: &'a JobId) -> Self {
        Self { job, conflicts: 0 }
    }

    /// Allows another round, or not.
    pub(super) fn again(&mut self) -> Result<(), JobsError> {
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

/// The first of these ids that is in the shard of the job's unique key, where it has one.
pub(crate) fn fitting(
    shards: ShardCount,
    unique: Option<&str>,
    mut ids: impl Iterator<Item = String>,
) -> Option<String> {
    let key = unique.and_then(|key| UniqueKey::new(key).ok());
    let Some(shard) = key.map(|key| shards.of_key(&key)) else {
        return ids.next();
    };
    // Of the most shards there may be, so many draws all but surely hit each.
    ids.take(64 * usize::from(MAX_SHARDS))
        .find(|id| JobId::new(id).is_ok_and(|id| shards.of_job(&id) == shard))
}

/// An id as [`new_id`] makes them, of the shard of this unique key.
#[must_use]
pub fn new_id_beside(
    shards: ShardCount,
    unique: Option<&str>,
    task: &str,
    now: Timestamp,
) -> String {
    let mut ids = std::iter::repeat_with(|| new_id(task, now));
    fitting(shards, unique, &mut ids).unwrap_or_else(|| new_id(task, now))
}

pub(super) fn new_request() -> RequestId {
    RequestId(Uuid::new_v4())
}

/// A UUID v7 of the store's clock: it becomes the run's "scheduled at".
pub(super) fn uuid_at(now: Timestamp) -> Uuid {
    let ms = u64::try_from(now.as_ms()).unwrap_or(0);
    let nanos = u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, ms / 1000, nanos))
}
