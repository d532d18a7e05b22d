//! Writing definitions: one, or many at once.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use scheduler_core::change::{self, Change, ChangeError, UnreadableJob};
use scheduler_core::store::{Changed, JobWrite};
use scheduler_core::{Job, JobId, Store};

use super::client::{Jobs, Rounds};
use super::retry::until_known;
use super::{JobsError, OnConflict, Put, PutWish};

/// How many jobs are written in one step.
const BATCH: usize = 200;

impl<S: Store> Jobs<S> {
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

    /// One round for jobs of different ids; answers in their order, with none for a conflict.
    async fn put_batch(
        &self,
        wishes: &[PutWish],
        batch: &[usize],
    ) -> Result<Vec<Option<Put>>, JobsError> {
        let ids: Vec<JobId> = batch.iter().map(|i| wishes[*i].job.id().clone()).collect();
        let reads = until_known(|| self.store().jobs(&ids)).await?;
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
            let mut taken = Vec::new();
            for (at, answer) in written.into_iter().zip(answers) {
                match answer {
                    Changed::Done(_) => {}
                    Changed::Conflict => outcomes[at] = None,
                    Changed::Taken => taken.push(at),
                }
            }
            let wishes: Vec<_> = taken.iter().map(|at| &wishes[batch[*at]]).collect();
            for (at, settled) in taken.iter().zip(self.settle_taken(&wishes).await?) {
                outcomes[*at] = settled;
            }
        }
        Ok(outcomes)
    }
}

/// What putting a job comes to.
pub(super) enum Decision {
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

pub(super) fn decide(wish: &PutWish, read: &JobWrite, remembered: Option<Duration>) -> Decision {
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
