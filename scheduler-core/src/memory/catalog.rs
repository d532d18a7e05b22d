//! The jobs by version, and definitions that outlive theirs.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::change::JobState;
use crate::id::{JobId, Version};
use crate::job::Job;
use crate::time::Timestamp;

/// A job, as it stands in the catalog.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) version: Version,
    pub(super) state: JobState,
}

/// Definitions, `old` and `gone`.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    jobs: BTreeMap<JobId, Entry>,
    /// Definitions that were replaced or removed while runs in flight were bound to them.
    old: HashMap<JobId, HashMap<Version, Job>>,
    /// When removed jobs were removed.
    gone: BTreeMap<JobId, Timestamp>,
}

impl Catalog {
    pub(super) fn get(&self, job: &JobId) -> Option<&Entry> {
        self.jobs.get(job)
    }

    /// The job's version; none where there is no such job.
    pub(super) fn version(&self, job: &JobId) -> Option<Version> {
        self.jobs.get(job).map(|entry| entry.version)
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Jobs in the order of their ids, after this one.
    pub(super) fn after(&self, cursor: Option<&JobId>) -> impl Iterator<Item = &Entry> {
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.jobs
            .range::<JobId, _>((from, Bound::Unbounded))
            .map(|(_, entry)| entry)
    }

    /// Writes a definition; `keep` says whether runs in flight are bound to the one it replaces.
    pub(super) fn insert(&mut self, entry: Entry, keep: impl FnOnce(Version) -> bool) {
        let id = entry.job.id().clone();
        self.gone.remove(&id);
        let replaced = self.jobs.insert(id, entry);
        self.retain(replaced, keep);
    }

    /// Removes a definition at `now`; `keep` says whether runs in flight are bound to it.
    pub(super) fn remove(
        &mut self,
        job: &JobId,
        now: Timestamp,
        keep: impl FnOnce(Version) -> bool,
    ) {
        let removed = self.jobs.remove(job);
        if removed.is_some() {
            self.gone.insert(job.clone(), now);
        }
        self.retain(removed, keep);
    }

    /// Keeps a definition that only a run is bound to.
    pub(super) fn keep(&mut self, version: Version, job: Job) {
        let old = self.old.entry(job.id().clone()).or_default();
        old.insert(version, job);
    }

    fn retain(&mut self, entry: Option<Entry>, keep: impl FnOnce(Version) -> bool) {
        if let Some(Entry { job, version, .. }) = entry
            && keep(version)
        {
            let old = self.old.entry(job.id().clone()).or_default();
            old.insert(version, job);
        }
    }

    /// Keeps a definition for a run that is bound to it, under a version that no job ever had.
    pub(super) fn keep_bound(&mut self, version: Version, job: Job) {
        let old = self.old.entry(job.id().clone()).or_default();
        old.insert(version, job);
    }

    /// Drops definitions of the job that no run needs any more.
    pub(super) fn release(&mut self, job: &JobId, needed: impl Fn(Version) -> bool) {
        if let Some(old) = self.old.get_mut(job) {
            old.retain(|version, _| needed(*version));
            if old.is_empty() {
                self.old.remove(job);
            }
        }
    }

    /// The definition of this version, from the job or kept for its runs in flight.
    pub(super) fn definition(&self, job: &JobId, version: Version) -> Option<&Job> {
        match self.jobs.get(job) {
            Some(entry) if entry.version == version => Some(&entry.job),
            _ => self.old.get(job)?.get(&version),
        }
    }

    /// Takes out up to `limit` jobs that were removed longer ago than `is_past` allows.
    pub(super) fn bury(&mut self, limit: usize, is_past: impl Fn(Timestamp) -> bool) -> Vec<JobId> {
        let past = self.gone.iter().filter(|(_, at)| is_past(**at));
        let buried: Vec<_> = past.map(|(job, _)| job.clone()).take(limit).collect();
        for job in &buried {
            self.gone.remove(job);
        }
        buried
    }
}
