//! Runs in flight: which there are, and where those wait that no node holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

use crate::id::{JobId, QueueName, RunId, Version};
use crate::policy::Priority;
use crate::run::WaitingRun;
use crate::store::{Cancelled, DueRetry, QueueView};
use crate::time::Timestamp;

/// The runs that wait in one queue, by priority.
#[derive(Debug, Default)]
struct Waiting([VecDeque<WaitingRun>; 3]);

impl Waiting {
    /// When the earliest of the runs should have run that are next.
    fn oldest(&self) -> Option<Timestamp> {
        let next = self.0.iter().filter_map(VecDeque::front);
        next.map(|waiting| waiting.run.scheduled_at()).min()
    }

    fn of(&mut self, priority: Priority) -> &mut VecDeque<WaitingRun> {
        &mut self.0[priority.index()]
    }

    fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }
}

/// `busy`, the ready queues and the retry queue.
///
/// Each run of `busy` is in exactly one of a ready queue, the retry queue, a line, or a session's
/// claims; each run that is there is in `busy`.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The job's runs from dispatch to end, with the definition that each was bound to. By run id,
    /// so that adding or removing one twice changes nothing.
    busy: HashMap<JobId, BTreeMap<RunId, Option<Version>>>,
    ready: BTreeMap<QueueName, Waiting>,
    retry: BTreeMap<Timestamp, BTreeMap<RunId, (QueueName, WaitingRun)>>,
    /// Runs in flight that somebody cancelled, and why.
    cancelled: BTreeMap<RunId, String>,
    /// Runs that wait for others of their job to end, the first first. Never an empty one.
    lines: HashMap<JobId, VecDeque<RunId>>,
    /// Jobs that may have room for the first of their line.
    openings: BTreeSet<JobId>,
}

impl Runs {
    /// How many runs of the job are in flight.
    pub(super) fn is_any_in_flight(&self) -> bool {
        !self.busy.is_empty()
    }

    pub(super) fn in_flight(&self, job: &JobId) -> usize {
        self.busy.get(job).map_or(0, BTreeMap::len)
    }

    /// The runs of the job that are in flight.
    pub(super) fn of(&self, job: &JobId) -> impl Iterator<Item = &RunId> {
        self.busy.get(job).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether this run is in flight.
    pub(super) fn is_busy(&self, run: &RunId) -> bool {
        let busy = self.busy.get(&run.job);
        busy.is_some_and(|busy| busy.contains_key(run))
    }

    /// Whether a run of the job is bound to this definition.
    pub(super) fn is_bound(&self, job: &JobId, version: Version) -> bool {
        let busy = self.busy.get(job);
        busy.is_some_and(|busy| busy.values().any(|bound| *bound == Some(version)))
    }

    /// How many runs of the job are lined up.
    pub(super) fn lined_up(&self, job: &JobId) -> usize {
        self.lines.get(job).map_or(0, VecDeque::len)
    }

    /// The runs of the job that are lined up, the first first.
    pub(super) fn line(&self, job: &JobId) -> impl Iterator<Item = &RunId> {
        self.lines.get(job).into_iter().flatten()
    }

    /// Jobs with runs that are lined up, and how many.
    pub(super) fn lined_up_jobs(&self) -> impl Iterator<Item = (&JobId, usize)> {
        self.lines.iter().map(|(job, line)| (job, line.len()))
    }

    /// Whether a new run of the job, which allows so many at once, has to line up.
    pub(super) fn must_line_up(&self, job: &JobId, max_instances: usize) -> bool {
        self.lines.contains_key(job) || self.in_flight(job) >= max_instances
    }

    /// Makes a run that waits in its job's line.
    pub(super) fn line_up(&mut self, run: RunId) {
        let busy = self.busy.entry(run.job.clone()).or_default();
        busy.insert(run.clone(), None);
        self.lines
            .entry(run.job.clone())
            .or_default()
            .push_back(run);
    }

    /// Notes that a job may have room for the first of its line; says whether it has a line.
    pub(super) fn open(&mut self, job: &JobId) -> bool {
        let is_lined_up = self.lines.contains_key(job);
        if is_lined_up {
            self.openings.insert(job.clone());
        }
        is_lined_up
    }

    /// Jobs that may have room for the first of their line.
    pub(super) fn openings(&self) -> impl Iterator<Item = &JobId> {
        self.openings.iter()
    }

    /// Takes the first of a job's line, if fewer than so many runs are at work; else the job has no
    /// room any more.
    pub(super) fn next_in_line(&mut self, job: &JobId, max_instances: usize) -> Option<RunId> {
        let at_work = self.in_flight(job) - self.lined_up(job);
        let line = self.lines.get_mut(job).filter(|_| at_work < max_instances);
        let first = line.and_then(VecDeque::pop_front);
        if first.is_none() {
            self.openings.remove(job);
        } else if self.lined_up(job) == 0 {
            self.lines.remove(job);
        }
        first
    }

    /// Takes all of a job's line out of it.
    pub(super) fn leave_line(&mut self, job: &JobId) -> VecDeque<RunId> {
        self.openings.remove(job);
        self.lines.remove(job).unwrap_or_default()
    }

    /// How many runs are lined up.
    pub(super) fn lined_up_count(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    /// Makes a run: from now on it is in flight, and waits at the end of its queue.
    pub(super) fn begin(&mut self, run: RunId, queue: &QueueName, priority: Priority) {
        self.begin_as(run, None, queue, priority);
    }

    /// Makes a run that is bound to a definition from the beginning.
    pub(super) fn begin_bound(
        &mut self,
        run: RunId,
        version: Version,
        queue: &QueueName,
        priority: Priority,
    ) {
        self.begin_as(run, Some(version), queue, priority);
    }

    fn begin_as(
        &mut self,
        run: RunId,
        version: Option<Version>,
        queue: &QueueName,
        priority: Priority,
    ) {
        let busy = self.busy.entry(run.job.clone()).or_default();
        busy.insert(run.clone(), version);
        let waiting = WaitingRun {
            run,
            attempt: 1,
            version,
            losses: 0,
            priority,
        };
        self.append(queue, waiting);
    }

    /// Notes that a run is bound to no definition any more.
    pub(super) fn unbind(&mut self, run: &RunId) {
        if let Some(bound) = self.busy.get_mut(&run.job).and_then(|b| b.get_mut(run)) {
            *bound = None;
        }
    }

    /// Binds a run to a definition.
    pub(super) fn bind(&mut self, run: &RunId, version: Version) {
        if let Some(bound) = self.busy.get_mut(&run.job).and_then(|b| b.get_mut(run)) {
            *bound = Some(version);
        }
    }

    /// Ends a run: it is no longer in flight.
    pub(super) fn end(&mut self, run: &RunId) {
        self.cancelled.remove(run);
        if let Some(busy) = self.busy.get_mut(&run.job) {
            busy.remove(run);
            if busy.is_empty() {
                self.busy.remove(&run.job);
            }
        }
    }

    /// Marks a run in flight as cancelled, if it is not yet.
    pub(super) fn mark_cancelled(&mut self, run: &RunId, reason: &str) {
        let marked = self.cancelled.entry(run.clone());
        marked.or_insert_with(|| reason.to_owned());
    }

    /// Why a run was cancelled, if it was; the mark goes.
    pub(super) fn take_cancelled(&mut self, run: &RunId) -> Option<String> {
        self.cancelled.remove(run)
    }

    /// Those of these runs that were cancelled.
    pub(super) fn cancelled_of<'a>(&self, runs: impl Iterator<Item = &'a RunId>) -> Vec<Cancelled> {
        let cancelled = runs.filter_map(|run| {
            let reason = self.cancelled.get(run)?.clone();
            let run = run.clone();
            Some(Cancelled { run, reason })
        });
        cancelled.collect()
    }

    /// Takes out a run that waits for its next attempt.
    pub(super) fn take_delayed(&mut self, run: &RunId) -> Option<(QueueName, WaitingRun)> {
        let mut times = self.retry.iter_mut();
        let (at, found) = times.find_map(|(at, waiting)| Some((*at, waiting.remove(run)?)))?;
        self.retry
            .retain(|time, waiting| *time != at || !waiting.is_empty());
        Some(found)
    }

    /// Puts a run at the end of its queue, behind those of its priority.
    pub(super) fn append(&mut self, queue: &QueueName, waiting: WaitingRun) {
        self.ready
            .entry(queue.clone())
            .or_default()
            .of(waiting.priority)
            .push_back(waiting);
    }

    /// Puts a run at the head of its queue, before those of its priority.
    pub(super) fn prepend(&mut self, queue: &QueueName, waiting: WaitingRun) {
        self.ready
            .entry(queue.clone())
            .or_default()
            .of(waiting.priority)
            .push_front(waiting);
    }

    /// Takes the first run of a queue and priority.
    pub(super) fn pop(&mut self, queue: &QueueName, priority: Priority) -> Option<WaitingRun> {
        let ready = self.ready.get_mut(queue)?;
        let first = ready.of(priority).pop_front();
        if ready.len() == 0 {
            self.ready.remove(queue);
        }
        first
    }

    /// How many runs wait in a queue, by priority.
    pub(super) fn waiting(&self, queue: &QueueName) -> [u64; 3] {
        let waiting = self.ready.get(queue);
        waiting.map_or([0; 3], |ready| {
            ready.0.each_ref().map(|runs| runs.len() as u64)
        })
    }

    /// Whether runs wait in a queue.
    pub(super) fn is_waiting(&self, queue: &QueueName) -> bool {
        self.ready.contains_key(queue)
    }

    /// Lets a run wait for its next attempt.
    pub(super) fn delay(&mut self, retry: DueRetry) {
        let waiting = self.retry.entry(retry.not_before).or_default();
        waiting.insert(retry.waiting.run.clone(), (retry.queue, retry.waiting));
    }

    /// Takes out a waiting run, if it still waits exactly so.
    pub(super) fn undelay(&mut self, retry: &DueRetry) -> bool {
        let Some(waiting) = self.retry.get_mut(&retry.not_before) else {
            return false;
        };
        let run = &retry.waiting.run;
        let waits_so = waiting
            .get(run)
            .is_some_and(|(queue, waiting)| *queue == retry.queue && *waiting == retry.waiting);
        if waits_so {
            waiting.remove(run);
            if waiting.is_empty() {
                self.retry.remove(&retry.not_before);
            }
        }
        waits_so
    }

    /// Runs whose waiting time is over at `now`, the longest over first.
    pub(super) fn due_retries(&self, now: Timestamp) -> impl Iterator<Item = DueRetry> {
        self.retry.range(..=now).flat_map(|(not_before, waiting)| {
            waiting.values().map(|(queue, waiting)| DueRetry {
                queue: queue.clone(),
                waiting: waiting.clone(),
                not_before: *not_before,
            })
        })
    }

    /// When the next run's waiting time is over that is not at `now`.
    pub(super) fn next_retry(&self, now: Timestamp) -> Option<Timestamp> {
        let mut later = self.retry.range((Bound::Excluded(now), Bound::Unbounded));
        later.next().map(|(not_before, _)| *not_before)
    }

    /// How many runs are in flight.
    pub(super) fn busy_count(&self) -> usize {
        self.busy.values().map(BTreeMap::len).sum()
    }

    /// How many runs wait for their next attempt.
    pub(super) fn retry_count(&self) -> usize {
        self.retry.values().map(BTreeMap::len).sum()
    }

    /// The queues in which runs wait.
    pub(super) fn queues(&self) -> Vec<QueueView> {
        let view = |(queue, ready): (&QueueName, &Waiting)| QueueView {
            queue: queue.clone(),
            ready: ready.len() as u64,
            oldest: ready.oldest(),
        };
        self.ready.iter().map(view).collect()
    }
}
