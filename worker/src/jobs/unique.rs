//! Jobs whose unique key is held by another one.

use std::collections::HashMap;

use scheduler_core::store::{Changed, Supersede};
use scheduler_core::unique::{Holder, OnDuplicate};
use scheduler_core::{Event, JobId, Store, UniqueKey};

use super::changing::removal_of;
use super::client::{Jobs, new_request};
use super::put::{Decision, decide};
use super::retry::until_known;
use super::telling;
use super::{JobsError, Put, PutWish};

impl<S: Store> Jobs<S> {
    /// The job that holds a unique key, and until when.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn holder(&self, key: &UniqueKey) -> Result<Option<Holder>, JobsError> {
        let keys = std::slice::from_ref(key);
        let mut holders = until_known(|| self.store().holders(keys)).await?;
        Ok(holders.pop().flatten())
    }

    /// What becomes of jobs that found their keys taken, as they say themselves, in order; none where
    /// it is to be decided anew, because the key has been freed or has passed on.
    pub(super) async fn settle_taken(
        &self,
        wishes: &[&PutWish],
    ) -> Result<Vec<Option<Put>>, JobsError> {
        let uniques: Vec<_> = wishes.iter().filter_map(|wish| wish.job.unique()).collect();
        if uniques.is_empty() {
            return Ok(vec![None; wishes.len()]);
        }
        let keys: Vec<_> = uniques.iter().map(|unique| unique.key.clone()).collect();
        let holders = until_known(|| self.store().holders(&keys)).await?;
        let mut holders: HashMap<_, _> = keys.iter().zip(holders).collect();
        let mut settled = Vec::with_capacity(wishes.len());
        for (wish, unique) in wishes.iter().zip(uniques) {
            let Some(Holder { job: holder, .. }) = holders.remove(&unique.key).flatten() else {
                settled.push(None);
                continue;
            };
            let outcome = match unique.on_conflict {
                OnDuplicate::Ignore => Some(Put::Ignored(holder.clone())),
                OnDuplicate::Error => Some(Put::KeyTaken(holder.clone())),
                OnDuplicate::Replace => self.supersede(wish, holder.clone()).await?,
            };
            // Of several with one key, a later one finds what an earlier one left.
            let job = match outcome {
                Some(Put::Superseded(_)) => wish.job.id().clone(),
                _ => holder,
            };
            holders.insert(&unique.key, Some(Holder { job, until: None }));
            settled.push(outcome);
        }
        Ok(settled)
    }

    async fn supersede(&self, wish: &PutWish, holder: JobId) -> Result<Option<Put>, JobsError> {
        let ids = [wish.job.id().clone(), holder.clone()];
        let reads = until_known(|| self.store().jobs(&ids)).await?;
        let [read, held] = &reads[..] else {
            return Ok(None);
        };
        let change = match decide(wish, read, self.remembered) {
            Decision::Settled(outcome) => return Ok(Some(outcome)),
            Decision::Write(change, _) => *change,
        };
        self.check_chains(&[(None, change.clone())]).await?;
        let stored = read.stored.as_ref().map(|job| job.version);
        let unreadable = read.unreadable.as_ref().map(|job| job.version);
        let request = Supersede {
            request: new_request(),
            removal: removal_of(&holder, held),
            holder: holder.clone(),
            expected: stored.or(unreadable),
            change,
        };
        let answer = until_known(|| self.store().supersede(&request)).await?;
        let Changed::Done(version) = answer else {
            return Ok(None);
        };
        let mut events = vec![telling::changed(
            read.stored.as_ref(),
            &request.change,
            version,
        )];
        if let Some(removal) = request.removal {
            events.insert(0, Event::JobRemoved { job: removal.job });
        }
        telling::tell(self.store(), events).await;
        Ok(Some(Put::Superseded(holder)))
    }
}
