//! Bringing jobs back from lines that were saved.

use scheduler_core::change::{self, Change, Saved};
use scheduler_core::store::{Changed, JobWrite};
use scheduler_core::{JobId, Store, StoredJob, UniqueKey};

use super::bulk::in_steps;
use super::client::Jobs;
use super::retry::until_known;
use super::{JobsError, OnConflict, Restored};

impl<S: Store> Jobs<S> {
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
        let one = std::slice::from_ref(saved);
        let mut outcomes = self.restore_all(one, on_conflict, |_| ()).await?;
        Ok(outcomes.pop().expect("one outcome for one job"))
    }

    /// Brings back many jobs, in few steps; tells for each what became of it, in order, and after
    /// each step how many are done. Of several with the same id, a later one finds what an earlier
    /// one left.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing a job. Some may have been brought back:
    /// asking again completes it.
    pub async fn restore_all(
        &self,
        saved: &[Saved],
        on_conflict: OnConflict,
        told: impl FnMut(usize) + Send,
    ) -> Result<Vec<Restored>, JobsError> {
        let ids: Vec<_> = saved.iter().map(|saved| saved.job.id()).collect();
        in_steps(&ids, 1, told, |batch| {
            self.restore_batch(saved, batch, on_conflict)
        })
        .await
    }

    /// What [`restore_all`](Self::restore_all) would come to as things are, for jobs of different
    /// ids: nothing is written.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn foresee_restore(
        &self,
        saved: &[Saved],
        on_conflict: OnConflict,
    ) -> Result<Vec<Restored>, JobsError> {
        let ids: Vec<_> = saved.iter().map(|saved| saved.job.id()).collect();
        in_steps(
            &ids,
            1,
            |_| (),
            |batch| async move {
                let reads = self.read_all(saved, &batch).await?;
                let mut foreseen = Vec::with_capacity(batch.len());
                for (at, read) in batch.iter().zip(&reads) {
                    let outcome = match decide(&saved[*at], read, on_conflict) {
                        Decision::Settled(outcome) => outcome,
                        Decision::Write(_, outcome) => {
                            self.unless_taken(&saved[*at], outcome).await?
                        }
                    };
                    foreseen.push(Some(outcome));
                }
                Ok(foreseen)
            },
        )
        .await
    }

    /// What would become of a job, if another one holds its unique key.
    async fn unless_taken(
        &self,
        saved: &Saved,
        otherwise: Restored,
    ) -> Result<Restored, JobsError> {
        let Some(unique) = saved.job.unique().filter(|_| otherwise == Restored::Added) else {
            return Ok(otherwise);
        };
        let holder = self.holder(&unique.key).await?;
        Ok(holder.map_or(otherwise, |holder| Restored::KeyTaken(holder.job)))
    }

    async fn read_all(&self, saved: &[Saved], batch: &[usize]) -> Result<Vec<JobWrite>, JobsError> {
        let ids: Vec<JobId> = batch.iter().map(|at| saved[*at].job.id().clone()).collect();
        let reads = until_known(|| self.store().jobs(&ids)).await?;
        for (id, read) in ids.iter().zip(&reads) {
            self.check_version(id, read)?;
        }
        Ok(reads)
    }

    /// One step for jobs of different ids; answers in their order, with none for a conflict.
    async fn restore_batch(
        &self,
        saved: &[Saved],
        batch: Vec<usize>,
        on_conflict: OnConflict,
    ) -> Result<Vec<Option<Restored>>, JobsError> {
        let reads = self.read_all(saved, &batch).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        let (mut changes, mut written) = (Vec::new(), Vec::new());
        for (at, read) in batch.iter().zip(&reads) {
            match decide(&saved[*at], read, on_conflict) {
                Decision::Settled(outcome) => outcomes.push(Some(outcome)),
                Decision::Write(change, outcome) => {
                    let version = read.stored.as_ref().map(|stored| stored.version);
                    changes.push((version, *change));
                    written.push(outcomes.len());
                    outcomes.push(Some(outcome));
                }
            }
        }
        if changes.is_empty() {
            return Ok(outcomes);
        }
        let answers = self.write(changes, false).await?;
        for (place, answer) in written.into_iter().zip(answers) {
            match answer {
                Changed::Done(_) => {}
                Changed::Conflict => outcomes[place] = None,
                Changed::Taken => {
                    let key = saved[batch[place]].job.unique().map(|unique| &unique.key);
                    outcomes[place] = self.taken(key).await?;
                }
            }
        }
        Ok(outcomes)
    }

    /// What became of a job whose key was taken; none where that has been freed since.
    async fn taken(&self, key: Option<&UniqueKey>) -> Result<Option<Restored>, JobsError> {
        let holder = match key {
            Some(key) => self.holder(key).await?,
            None => None,
        };
        Ok(holder.map(|holder| Restored::KeyTaken(holder.job)))
    }
}

/// What bringing back a job comes to.
enum Decision {
    Settled(Restored),
    /// To be written, with the outcome that it then has.
    Write(Box<Change>, Restored),
}

fn decide(saved: &Saved, read: &JobWrite, on_conflict: OnConflict) -> Decision {
    if let Some(unreadable) = &read.unreadable {
        return Decision::Settled(Restored::Unreadable(unreadable.why.clone()));
    }
    let stored = read.stored.as_ref();
    let is_there = stored.is_some_and(|stored| is_so_already(stored, saved));
    match (stored, on_conflict) {
        (Some(_), _) if is_there => return Decision::Settled(Restored::Unchanged),
        (Some(_), OnConflict::Refuse) => return Decision::Settled(Restored::Exists),
        (Some(_), OnConflict::Keep) => return Decision::Settled(Restored::Kept),
        _ => {}
    }
    match change::restore(saved.clone(), stored, read.fired, read.now) {
        Ok(change) if stored.is_some() => Decision::Write(Box::new(change), Restored::Replaced),
        Ok(change) => Decision::Write(Box::new(change), Restored::Added),
        Err(_) => Decision::Settled(Restored::Over),
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
