//! Unique keys: who took which, and until when.

use std::collections::HashMap;

use crate::id::{JobId, UniqueKey};
use crate::time::Timestamp;
use crate::unique::{Holder, Unique};

/// `unique` and `unique-until`, and the keys that jobs were put with.
#[derive(Debug, Default)]
pub(super) struct Uniques {
    holders: HashMap<UniqueKey, Holder>,
    of_jobs: HashMap<JobId, UniqueKey>,
}

impl Uniques {
    /// Who holds a key; `is_live` says whether a job's run is still to end.
    pub(super) fn holder(
        &self,
        key: &UniqueKey,
        now: Timestamp,
        is_live: impl FnOnce(&JobId) -> bool,
    ) -> Option<&Holder> {
        let holder = self.holders.get(key)?;
        let holds = match holder.until {
            Some(until) => until > now,
            None => is_live(&holder.job),
        };
        holds.then_some(holder)
    }

    /// The key that a stored job was put with.
    pub(super) fn of(&self, job: &JobId) -> Option<&UniqueKey> {
        self.of_jobs.get(job)
    }

    /// Gives a job a key.
    pub(super) fn take(&mut self, job: &JobId, unique: &Unique, now: Timestamp) {
        let holder = Holder {
            job: job.clone(),
            until: unique.ttl.map(|ttl| now.after(ttl)),
        };
        self.holders.insert(unique.key.clone(), holder);
        self.of_jobs.insert(job.clone(), unique.key.clone());
    }

    /// Frees the key of a job that gives it up.
    pub(super) fn free(&mut self, job: &JobId) {
        if let Some(key) = self.of_jobs.remove(job)
            && self
                .holders
                .get(&key)
                .is_some_and(|holder| holder.job == *job)
        {
            self.holders.remove(&key);
        }
    }

    /// Frees the key of a job whose last run has ended, unless it holds it for longer.
    pub(super) fn end(&mut self, job: &JobId) {
        let holder = self.of_jobs.get(job).and_then(|key| self.holders.get(key));
        if holder.is_some_and(|holder| holder.job == *job && holder.until.is_none()) {
            self.free(job);
        }
        self.of_jobs.remove(job);
    }

    /// Forgets up to `limit` keys that nobody holds any more by now; says how many.
    pub(super) fn forget(&mut self, limit: usize, now: Timestamp) -> usize {
        let is_past = |holder: &Holder| holder.until.is_some_and(|until| until <= now);
        let past = self.holders.iter().filter(|(_, holder)| is_past(holder));
        let past: Vec<_> = past.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &past {
            self.holders.remove(key);
        }
        past.len()
    }
}
