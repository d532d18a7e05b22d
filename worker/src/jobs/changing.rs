//! Changing a stored job: some of its fields, whether it is paused, and that it is there at all.

use scheduler_core::change::{self, Change, Removal};
use scheduler_core::store::{Changed, JobWrite, RemoveJob};
use scheduler_core::unique::Holder;
use scheduler_core::{
    Event, JobDefaults, JobError, JobId, JobPatch, PatchError, Pause, Store, StoredJob, Timestamp,
    UniqueKey,
};

use super::client::{Jobs, Rounds, new_request, readable};
use super::retry::until_known;
use super::telling;
use super::{JobsError, Modified, PauseWish, Removed, Switched};
use crate::mistake::join;
use crate::task::builtin;

impl<S: Store> Jobs<S> {
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
            let version = Some(stored.version);
            let key = change.job.unique().map(|unique| unique.key.clone());
            match self.write_one(Some(&stored), version, change).await? {
                Changed::Done(version) => return Ok(Modified::Done(version)),
                Changed::Conflict => rounds.again()?,
                // Whoever changes a job never removes another one for its key.
                Changed::Taken => match self.holder_of(key).await? {
                    Some(taken) => return Ok(Modified::Refused(taken)),
                    None => rounds.again()?,
                },
            }
        }
    }

    /// Who has this key, as the reason why a job cannot get it.
    async fn holder_of(&self, key: Option<UniqueKey>) -> Result<Option<PatchError>, JobsError> {
        let Some(key) = key else { return Ok(None) };
        let holder = self.holder(&key).await?;
        Ok(holder.map(|Holder { job: by, .. }| PatchError::KeyTaken { key, by }))
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
            let Some(request) = removal_of(id, &self.read(id).await?) else {
                return Ok(Removed::NotFound);
            };
            match until_known(|| self.store().remove(&request)).await? {
                Changed::Done(_) => {
                    let job = id.clone();
                    telling::tell(self.store(), vec![Event::JobRemoved { job }]).await;
                    return Ok(Removed::Done);
                }
                Changed::Conflict | Changed::Taken => rounds.again()?,
            }
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
            let version = Some(stored.version);
            match self.write_one(Some(&stored), version, change).await? {
                Changed::Done(_) => return Ok(Switched::Done),
                Changed::Conflict | Changed::Taken => rounds.again()?,
            }
        }
    }
}

/// The removal of a job as it was read, if it is there.
pub(super) fn removal_of(id: &JobId, read: &JobWrite) -> Option<RemoveJob> {
    let (version, next_fire, removal, state) = match (&read.stored, &read.unreadable) {
        (Some(job), _) => {
            let removal = change::remove(job, read.now);
            (job.version, job.next_fire, removal, &job.state)
        }
        (None, Some(job)) => {
            let skips = Vec::from_iter(change::remove_unreadable(job, read.now));
            let removal = Removal { skips, next: None };
            (job.version, job.next_fire, removal, &job.state)
        }
        (None, None) => return None,
    };
    Some(RemoveJob {
        request: new_request(),
        job: id.clone(),
        version,
        next_fire,
        skips: removal.skips,
        next: removal.next,
        detail: state.pause().and_then(Pause::words),
    })
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
