//! What is kept of single jobs' history when all jobs' bound has come to it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::id::JobId;
use crate::retention::HistoryPolicy;
use crate::store::HistoryEntry;
use crate::time::Timestamp;

/// Records by job, and what their jobs' policies say.
#[derive(Debug, Default)]
pub(super) struct Kept {
    policies: BTreeMap<JobId, Keeping>,
    /// With their positions in the journal, the oldest first.
    records: BTreeMap<JobId, VecDeque<(u64, HistoryEntry)>>,
    /// Up to where the last round of tidying came.
    tidied: Option<JobId>,
}

#[derive(Clone, Copy, Debug)]
struct Keeping {
    policy: HistoryPolicy,
    /// When the policy of a job that is gone is forgotten.
    until: Option<Timestamp>,
}

impl Kept {
    /// Notes what a job's policy says from now on.
    pub(super) fn set(&mut self, job: &JobId, policy: HistoryPolicy) {
        if policy.is_overall() {
            self.policies.remove(job);
            self.records.remove(job);
        } else {
            let until = None;
            self.policies.insert(job.clone(), Keeping { policy, until });
        }
    }

    pub(super) fn policy(&self, job: &JobId) -> Option<HistoryPolicy> {
        self.policies.get(job).map(|keeping| keeping.policy)
    }

    /// Takes a record that is no longer kept with the others, if its job wants it.
    pub(super) fn take(&mut self, position: u64, entry: HistoryEntry) {
        let job = entry.record.job();
        if let Some(policy) = self.policy(job) {
            let records = self.records.entry(job.clone()).or_default();
            records.push_back((position, entry));
            while records.len() > policy.most() {
                records.pop_front();
            }
        }
    }

    /// What is kept of a job, the newest first.
    pub(super) fn of(&self, job: &JobId) -> impl Iterator<Item = (u64, &HistoryEntry)> {
        let records = self.records.get(job).into_iter().flatten();
        records.rev().map(|(position, entry)| (*position, entry))
    }

    /// A job is long gone: what is kept of it by number only goes, and the rest as it grows old.
    pub(super) fn bury(&mut self, job: &JobId, now: Timestamp) {
        if let Some(keeping) = self.policies.get_mut(job) {
            match keeping.policy.keep_for {
                Some(keep) => keeping.until = Some(now.after(keep)),
                None => self.set(job, HistoryPolicy::default()),
            }
        }
    }

    /// Forgets what is past keeping, of so many jobs; a round of all jobs takes several calls where
    /// there are more. Says how many jobs it looked at.
    pub(super) fn tidy(&mut self, now: Timestamp, limit: usize) -> usize {
        let from = self.tidied.take();
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let jobs = self.policies.range((from, Bound::Unbounded));
        let jobs: Vec<_> = jobs
            .take(limit)
            .map(|(job, keeping)| (job.clone(), *keeping))
            .collect();
        for (job, Keeping { policy, until }) in &jobs {
            let mut left = 0;
            if let Some(records) = self.records.get_mut(job) {
                let excess = records.len().saturating_sub(policy.most());
                records.drain(..excess);
                let horizon = policy.horizon(now).unwrap_or(Timestamp::from_ms(i64::MIN));
                let old = records.iter().take_while(|(_, entry)| entry.at < horizon);
                let old = old.count();
                records.drain(..old);
                left = records.len();
            }
            if left == 0 {
                self.records.remove(job);
                if until.is_some_and(|until| until <= now) {
                    self.policies.remove(job);
                }
            }
        }
        if jobs.len() == limit {
            self.tidied = jobs.last().map(|(job, _)| job.clone());
        }
        jobs.len()
    }
}
