//! Writing definitions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::change::{self, Change, ChangeError, UnreadableJob};
use scheduler_core::store::{Changed, JobWrite};
use scheduler_core::unique::OnDuplicate;
use scheduler_core::{Job, JobId, Store, Version};

use super::client::Jobs;
use super::retry::until_known;
use super::{JobsError, OnConflict, Put, PutWish};
use crate::clock::boottime;

/// Jobs that were looked at before they are written, by the places of their wishes.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<usize, (Duration, JobWrite)>>);

impl Known {
    fn keep(&self, places: &[usize], reads: Vec<JobWrite>) {
        let at = boottime();
        let reads = places.iter().copied().zip(reads);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(reads.map(|(place, read)| (place, (at, read))));
    }

    /// What was read of these, if all of them were, as if it had been read now: whether they are so
    /// still is checked where they are written. Each is given once: after a conflict it is read anew.
    fn take(&self, places: &[usize]) -> Option<Vec<JobWrite>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Option<Vec<_>> = places.iter().map(|place| known.remove(place)).collect();
        let now = boottime();
        let reads = taken?.into_iter().map(|(at, read)| JobWrite {
            now: read.now.after(now.saturating_sub(at)),
            ..read
        });
        Some(reads.collect())
    }
}

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

    /// What would become of these wishes, of different ids, as things are; keeps what was read.
    pub(super) async fn foresee(
        &self,
        wishes: &[PutWish],
        places: &[usize],
        known: &Known,
    ) -> Result<Vec<Put>, JobsError> {
        let (decisions, reads) = self.decide_all(wishes, places, None).await?;
        known.keep(places, reads);
        let mut foreseen: Vec<Put> = decisions
            .into_iter()
            .map(|decision| match decision {
                Decision::Settled(outcome) | Decision::Write(_, outcome) => outcome,
            })
            .collect();
        let is_strict = |at: &usize| {
            let unique = wishes[places[*at]].job.unique();
            unique.is_some_and(|unique| unique.on_conflict == OnDuplicate::Error)
        };
        let strict: Vec<usize> = (0..places.len())
            .filter(|at| foreseen[*at] == Put::Added)
            .filter(is_strict)
            .collect();
        if strict.is_empty() {
            return Ok(foreseen);
        }
        let keys = strict
            .iter()
            .filter_map(|at| wishes[places[*at]].job.unique());
        let keys: Vec<_> = keys.map(|unique| unique.key.clone()).collect();
        let holders = until_known(|| self.store().holders(&keys)).await?;
        for (at, holder) in strict.into_iter().zip(holders) {
            if let Some(holder) = holder {
                foreseen[at] = Put::KeyTaken(holder.job);
            }
        }
        Ok(foreseen)
    }

    /// One step for wishes of different ids; answers in their order, with none for a conflict.
    pub(super) async fn put_batch(
        &self,
        wishes: &[PutWish],
        batch: Vec<usize>,
        known: &Known,
    ) -> Result<Vec<Option<Put>>, JobsError> {
        let read = known.take(&batch);
        let (decisions, reads) = self.decide_all(wishes, &batch, read).await?;
        let mut changes = Vec::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut written = Vec::new();
        for (decision, read) in decisions.into_iter().zip(&reads) {
            match decision {
                Decision::Settled(outcome) => outcomes.push(Some(outcome)),
                Decision::Write(change, outcome) => {
                    changes.push((version_of(read), *change));
                    written.push(outcomes.len());
                    outcomes.push(Some(outcome));
                }
            }
        }
        if changes.is_empty() {
            return Ok(outcomes);
        }
        let mut taken = Vec::new();
        let answers = self.write(changes, false).await?;
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
        Ok(outcomes)
    }

    /// One step for these wishes, of one shard, which were looked at; none where somebody came between, and
    /// nothing was written.
    pub(super) async fn put_at_once(
        &self,
        wishes: &[PutWish],
        places: &[usize],
        known: &Known,
    ) -> Result<Option<Vec<Put>>, JobsError> {
        let read = known.take(places);
        let (decisions, reads) = self.decide_all(wishes, places, read).await?;
        let mut outcomes = Vec::with_capacity(places.len());
        let (mut changes, mut written) = (Vec::new(), Vec::new());
        for (at, (decision, read)) in decisions.into_iter().zip(&reads).enumerate() {
            match decision {
                Decision::Settled(outcome) => outcomes.push(outcome),
                Decision::Write(change, outcome) => {
                    changes.push((version_of(read), *change));
                    written.push(at);
                    outcomes.push(outcome);
                }
            }
        }
        loop {
            if changes.is_empty() {
                return Ok(Some(outcomes));
            }
            let answers = self.write(changes.clone(), true).await?;
            if answers
                .iter()
                .all(|answer| matches!(answer, Changed::Done(_)))
            {
                return Ok(Some(outcomes));
            }
            let is_taken = |answer: &Changed| *answer == Changed::Taken;
            let taken = written.iter().zip(&answers);
            let taken = taken.filter(|(_, answer)| is_taken(answer));
            let taken: Vec<usize> = taken.map(|(at, _)| *at).collect();
            if taken.is_empty() {
                return Ok(None);
            }
            let asked: Vec<_> = taken.iter().map(|at| &wishes[places[*at]]).collect();
            for (at, settled) in taken.iter().zip(self.settle_taken(&asked).await?) {
                match settled {
                    Some(outcome @ Put::Ignored(_)) => outcomes[*at] = outcome,
                    // Freed meanwhile, or an error of whoever asked: looking again tells.
                    _ => return Ok(None),
                }
            }
            // Those are left out, and the rest is put.
            let mut answers = answers.iter();
            changes.retain(|_| answers.next().is_some_and(|answer| !is_taken(answer)));
            written.retain(|at| !taken.contains(at));
        }
    }

    async fn decide_all(
        &self,
        wishes: &[PutWish],
        places: &[usize],
        read: Option<Vec<JobWrite>>,
    ) -> Result<(Vec<Decision>, Vec<JobWrite>), JobsError> {
        let ids = places.iter().map(|at| wishes[*at].job.id().clone());
        let reads = match read {
            Some(reads) => reads,
            None => {
                let ids: Vec<JobId> = ids.collect();
                until_known(|| self.store().jobs(&ids)).await?
            }
        };
        let mut decisions = Vec::with_capacity(reads.len());
        for (at, read) in places.iter().zip(&reads) {
            self.check_version(wishes[*at].job.id(), read)?;
            decisions.push(decide(&wishes[*at], read, self.remembered));
        }
        Ok((decisions, reads))
    }
}

/// The version that is stored of a job, readable or not.
fn version_of(read: &JobWrite) -> Option<Version> {
    let stored = read.stored.as_ref().map(|job| job.version);
    stored.or(read.unreadable.as_ref().map(|job| job.version))
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
