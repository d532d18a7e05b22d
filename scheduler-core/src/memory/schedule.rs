//! When jobs are due, which fire times have been settled, and whose schedule is over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::id::JobId;
use crate::time::Timestamp;

/// The due queue, `fired` and `finished`.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: HashMap<JobId, Timestamp>,
    /// The same, in the order in which the leader takes it.
    queue: BTreeMap<Timestamp, BTreeSet<JobId>>,
    /// Outlives the job, so that no fire time is settled twice, whatever is removed and put again.
    fired: HashMap<JobId, Timestamp>,
    finished: BTreeSet<JobId>,
    /// Jobs that were set aside, with the fire time at which they were.
    parked: HashMap<JobId, Timestamp>,
    /// Paused jobs whose pause has an end, by that.
    resumes: BTreeSet<(Timestamp, JobId)>,
    paused_until: HashMap<JobId, Timestamp>,
}

impl Schedule {
    /// When the job is due.
    pub(super) fn due(&self, job: &JobId) -> Option<Timestamp> {
        self.due.get(job).copied()
    }

    /// The highest fire time of the job that has been settled.
    pub(super) fn fired(&self, job: &JobId) -> Option<Timestamp> {
        self.fired.get(job).copied()
    }

    /// Whether `at` has not been settled yet: whether it may be made a run, a skip or a due time.
    pub(super) fn is_open(&self, job: &JobId, at: Timestamp) -> bool {
        self.fired(job).is_none_or(|fired| at > fired)
    }

    /// Moves the job's due time.
    pub(super) fn set_due(&mut self, job: &JobId, at: Timestamp) {
        self.clear(job);
        self.due.insert(job.clone(), at);
        self.queue.entry(at).or_default().insert(job.clone());
    }

    /// Notes that the job's schedule is over: it has no due time and never will have one.
    pub(super) fn finish(&mut self, job: &JobId) {
        self.clear(job);
        self.finished.insert(job.clone());
    }

    /// Sets the job aside, with the fire time at which it was due.
    pub(super) fn park(&mut self, job: &JobId, due: Timestamp) {
        self.clear(job);
        self.parked.insert(job.clone(), due);
    }

    /// The fire time at which the job was set aside.
    pub(super) fn parked(&self, job: &JobId) -> Option<Timestamp> {
        self.parked.get(job).copied()
    }

    /// Notes until when the job is paused, if that has an end.
    pub(super) fn pause(&mut self, job: &JobId, until: Option<Timestamp>) {
        self.clear(job);
        if let Some(until) = until {
            self.resumes.insert((until, job.clone()));
            self.paused_until.insert(job.clone(), until);
        }
    }

    /// Until when the job is paused, if that has an end.
    pub(super) fn paused_until(&self, job: &JobId) -> Option<Timestamp> {
        self.paused_until.get(job).copied()
    }

    /// Jobs whose pause has ended by `now`, the longest ended first.
    pub(super) fn resumes(&self, now: Timestamp) -> impl Iterator<Item = &JobId> {
        let over = self.resumes.iter().take_while(move |(at, _)| *at <= now);
        over.map(|(_, job)| job)
    }

    /// When the next pause ends that has not ended at `now`.
    pub(super) fn next_resume(&self, now: Timestamp) -> Option<Timestamp> {
        let mut ends = self.resumes.iter().map(|(at, _)| *at);
        ends.find(|at| *at > now)
    }

    /// Takes the job out of the due queue, of those whose schedule is over, and of those set
    /// aside or paused for a time.
    pub(super) fn clear(&mut self, job: &JobId) {
        if let Some(at) = self.due.remove(job)
            && let Some(jobs) = self.queue.get_mut(&at)
        {
            jobs.remove(job);
            if jobs.is_empty() {
                self.queue.remove(&at);
            }
        }
        self.finished.remove(job);
        self.parked.remove(job);
        if let Some(until) = self.paused_until.remove(job) {
            self.resumes.remove(&(until, job.clone()));
        }
    }

    /// Notes that the job's fire times up to `at` are settled.
    pub(super) fn settle(&mut self, job: &JobId, at: Timestamp) {
        let fired = self.fired.entry(job.clone()).or_insert(at);
        *fired = at.max(*fired);
    }

    /// Forgets what was settled of a job that is no more.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.fired.remove(job);
    }

    /// Whether the job's schedule is over.
    pub(super) fn is_finished(&self, job: &JobId) -> bool {
        self.finished.contains(job)
    }

    /// Jobs whose schedule is over.
    pub(super) fn finished(&self) -> impl Iterator<Item = &JobId> {
        self.finished.iter()
    }

    /// When the first job is due.
    pub(super) fn head(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|(at, _)| *at)
    }

    /// Jobs that are due at `now`, the longest due first.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &JobId)> {
        let due = self.queue.range(..=now);
        due.flat_map(|(at, jobs)| jobs.iter().map(|job| (*at, job)))
    }

    /// When the next job is due that is not at `now`.
    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let mut later = self.queue.range((Bound::Excluded(now), Bound::Unbounded));
        later.next().map(|(at, _)| *at)
    }

    /// How many jobs have a due time.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}
