//! Operations of those who change jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::catalog::Entry;
use super::requests::Answer;
use super::state::State;
use crate::after::{self, After, Position};
use crate::change::{Change, JobState, StoredJob};
use crate::id::{JobId, RunId, UniqueKey, Version};
use crate::plan::Skip;
use crate::store::{
    Changed, Definition, JobPage, JobWrite, MAX_ALL_OR_NONE, PutJob, RemoveJob, RunNow,
    RunNowAnswer, StoreError, StoreErrorKind, StoreResult, Supersede,
};
use crate::time::Timestamp;
use crate::unique::Holder;

impl State {
    pub(super) fn jobs(&self, ids: &[JobId], now: Timestamp) -> Vec<JobWrite> {
        let write = |id: &JobId| JobWrite {
            stored: self.catalog.get(id).map(|entry| self.stored(entry)),
            unreadable: None,
            fired: self.schedule.fired(id),
            now,
        };
        ids.iter().map(write).collect()
    }

    pub(super) fn job_page(&self, cursor: Option<&str>, limit: usize) -> StoreResult<JobPage> {
        let cursor = cursor.map(JobId::new).transpose().map_err(|error| {
            StoreError::new(StoreErrorKind::Refused, "job_page", error.to_string())
        })?;
        let mut entries = self.catalog.after(cursor.as_ref()).peekable();
        let page = entries.by_ref().take(limit.max(1));
        let jobs: Vec<_> = page.map(|entry| self.stored(entry)).collect();
        let is_more = entries.peek().is_some();
        let last = jobs.last().filter(|_| is_more);
        Ok(JobPage {
            next: last.map(|stored| stored.job.id().to_string()),
            jobs,
            unreadable: Vec::new(),
        })
    }

    fn stored(&self, entry: &Entry) -> StoredJob {
        let id = entry.job.id();
        StoredJob {
            job: entry.job.clone(),
            version: entry.version,
            state: entry.state.clone(),
            next_fire: self.schedule.due(id),
            parked: self.schedule.parked(id),
            fired: self.schedule.fired(id),
            in_flight: self.runs.in_flight(id),
        }
    }

    pub(super) fn definitions(&self, wanted: &[(JobId, Version)]) -> Vec<Definition> {
        let find = |(job, version): &(JobId, Version)| {
            let found = self.catalog.definition(job, *version);
            found.map_or(Definition::Gone, |job| {
                Definition::Found(Arc::new(job.clone()))
            })
        };
        wanted.iter().map(find).collect()
    }

    pub(super) fn put(&mut self, request: &PutJob, now: Timestamp) -> StoreResult<Vec<Changed>> {
        match self.requests.answer(request.request) {
            Some(Answer::Put(answers)) => return Ok(answers),
            Some(other) => return other.mismatch("put"),
            None => {}
        }
        let refused = if request.all_or_none {
            self.refusals_of_all(&request.changes, now)?
        } else {
            None
        };
        if let Some(answers) = refused {
            let answer = Answer::Put(answers.clone());
            self.requests.keep(request.request, now, answer);
            return Ok(answers);
        }
        let changes = request.changes.iter();
        let answers: Vec<_> = changes
            .map(
                |(expected, change)| match self.refusal_of(*expected, change, None, now) {
                    Some(refusal) => refusal,
                    None => self.change(change, now),
                },
            )
            .collect();
        let answer = Answer::Put(answers.clone());
        self.requests.keep(request.request, now, answer);
        Ok(answers)
    }

    pub(super) fn supersede(
        &mut self,
        request: &Supersede,
        now: Timestamp,
    ) -> StoreResult<Changed> {
        match self.requests.answer(request.request) {
            Some(Answer::Superseded(answer)) => return Ok(answer),
            Some(other) => return other.mismatch("supersede"),
            None => {}
        }
        let (holder, change) = (&request.holder, &request.change);
        let removal = request.removal.as_ref();
        let may_remove = match removal {
            Some(removal) => removal.job == *holder && self.may_remove(removal, now),
            None => self.catalog.version(holder).is_none(),
        };
        let key = change.job.unique().map(|unique| &unique.key);
        let holds = key.and_then(|key| self.holder(key, now));
        let holds = holds.is_some_and(|holds| holds.job == *holder);
        let is_same = removal.is_some() && holder == change.job.id();
        let refusal = self.refusal_of(request.expected, change, Some(holder), now);
        let answer = match refusal {
            _ if !holds || is_same || !may_remove => Changed::Conflict,
            Some(refusal) => refusal,
            None => {
                if let Some(removal) = removal {
                    self.take_away(removal, now);
                }
                // It takes the key, also if it had it once.
                self.uniques.free(change.job.id());
                self.change(change, now)
            }
        };
        let kept = Answer::Superseded(answer);
        self.requests.keep(request.request, now, kept);
        Ok(answer)
    }

    pub(super) fn holders(&self, keys: &[UniqueKey], now: Timestamp) -> Vec<Option<Holder>> {
        let holder = |key| self.holder(key, now).cloned();
        keys.iter().map(holder).collect()
    }

    fn holder(&self, key: &UniqueKey, now: Timestamp) -> Option<&Holder> {
        self.uniques.holder(key, now, |job| {
            let is_over = self.schedule.is_finished(job) && self.runs.in_flight(job) == 0;
            self.catalog.version(job).is_some() && !is_over
        })
    }

    /// What becomes of changes that are to be done all or none, if that is none: each is judged as if
    /// those before it were done.
    fn refusals_of_all(
        &self,
        changes: &[(Option<Version>, Change)],
        now: Timestamp,
    ) -> StoreResult<Option<Vec<Changed>>> {
        if changes.len() > MAX_ALL_OR_NONE {
            let why = format!("{} jobs are more than {MAX_ALL_OR_NONE}", changes.len());
            return Err(StoreError::new(StoreErrorKind::Refused, "put", why));
        }
        let (mut keys, mut follows) = (BTreeSet::new(), BTreeMap::new());
        let mut answers = Vec::with_capacity(changes.len());
        let mut is_refused = false;
        for (expected, change) in changes {
            let (id, after) = (change.job.id(), change.job.after());
            let leads = |job: &JobId| match follows.get(job) {
                Some(followed) => *followed,
                None => self.following.followed_by(job),
            };
            let leads = |job: &JobId| leads(job).map(|after: &After| after.job.clone());
            let is_circle = after.is_some_and(|to| after::circle(id, &to.job, leads).is_some());
            let key = change.job.unique().map(|unique| &unique.key);
            let refusal = match self.refusal_of(*expected, change, None, now) {
                None if is_circle => Some(Changed::Conflict),
                None if key.is_some_and(|key| !keys.insert(key)) => Some(Changed::Taken),
                refusal => refusal,
            };
            is_refused |= refusal.is_some();
            follows.insert(id, after);
            answers.push(refusal.unwrap_or(Changed::Conflict));
        }
        Ok(is_refused.then_some(answers))
    }

    /// Why a change may not be done, if it may not. `instead_of` is removed with it.
    fn refusal_of(
        &self,
        expected: Option<Version>,
        change: &Change,
        instead_of: Option<&JobId>,
        now: Timestamp,
    ) -> Option<Changed> {
        let id = change.job.id();
        let from = match change.state {
            JobState::Active => change.next_fire,
            JobState::Paused { from, .. } => from,
        };
        let may_change = self.catalog.version(id) == expected
            && from.is_none_or(|from| self.schedule.is_open(id, from))
            && self.keeps_pending(id, from, &change.skips, now);
        let after = change.job.after();
        let is_circle = after.is_some_and(|after| self.following.closes_circle(id, after));
        if !may_change || is_circle {
            return Some(Changed::Conflict);
        }
        let key = &change.job.unique()?.key;
        let has_it = expected.is_some() && self.uniques.of(id) == Some(key);
        let holder = self.holder(key, now)?;
        // Also one of the same id that has ended, and holds the key for longer.
        let is_others = holder.job != *id || expected.is_none();
        let is_others = is_others && Some(&holder.job) != instead_of;
        (is_others && !has_it).then_some(Changed::Taken)
    }

    fn change(&mut self, change: &Change, now: Timestamp) -> Changed {
        let id = change.job.id();
        let key = change.job.unique().map(|unique| &unique.key);
        if self.catalog.version(id).is_none() || self.uniques.of(id) != key {
            self.uniques.free(id);
            if let Some(unique) = change.job.unique() {
                self.uniques.take(id, unique, now);
            }
        }
        let end = Position(self.journal.end(), 0);
        self.following.set(id, change.job.after(), end);
        let history = change.job.policy().history;
        self.journal.kept.set(id, history);
        let version = Version(self.next_number(0));
        self.gates.name(change.job.queue());
        let entry = Entry {
            job: change.job.clone(),
            version,
            state: change.state.clone(),
        };
        let runs = &self.runs;
        self.catalog
            .insert(entry, |replaced| runs.is_bound(id, replaced));
        match (&change.state, change.next_fire) {
            (JobState::Active, Some(next)) => self.schedule.set_due(id, next),
            // What follows others has no end of a schedule to come to.
            (JobState::Active, None) if change.job.after().is_some() && key.is_none() => {
                self.schedule.clear(id);
            }
            (JobState::Active, None) => self.schedule.finish(id),
            (JobState::Paused { pause, .. }, _) => self.schedule.pause(id, pause.until),
        }
        self.skip(id, &change.skips, change.detail.as_deref(), now);
        // It may allow more at once than before.
        self.runs.open(id);
        self.call_leader();
        Changed::Done(version)
    }

    pub(super) fn remove(&mut self, request: &RemoveJob, now: Timestamp) -> StoreResult<Changed> {
        match self.requests.answer(request.request) {
            Some(Answer::Removed(answer)) => return Ok(answer),
            Some(other) => return other.mismatch("remove"),
            None => {}
        }
        let answer = if self.may_remove(request, now) {
            self.take_away(request, now);
            Changed::Done(request.version)
        } else {
            Changed::Conflict
        };
        let kept = Answer::Removed(answer);
        self.requests.keep(request.request, now, kept);
        Ok(answer)
    }

    fn may_remove(&self, request: &RemoveJob, now: Timestamp) -> bool {
        let id = &request.job;
        self.catalog.version(id) == Some(request.version)
            && self.schedule.due(id) == request.next_fire
            && request.next.is_none_or(|next| next > now)
            && self.keeps_pending(id, None, &request.skips, now)
    }

    fn take_away(&mut self, request: &RemoveJob, now: Timestamp) {
        let id = &request.job;
        let queue = self.catalog.get(id).map(|entry| entry.job.queue().clone());
        let runs = &self.runs;
        self.catalog
            .remove(id, now, |removed| runs.is_bound(id, removed));
        self.schedule.clear(id);
        self.uniques.free(id);
        self.following.forget(id);
        self.skip(id, &request.skips, request.detail.as_deref(), now);
        if let Some(queue) = queue {
            self.end_line(id, &queue, now);
        }
    }

    /// Whether a change loses no fire time: the one that is pending, if it is due by now, must stay
    /// pending or be recorded. It may have become due after the change was decided.
    fn keeps_pending(
        &self,
        job: &JobId,
        stays: Option<Timestamp>,
        skips: &[Skip],
        now: Timestamp,
    ) -> bool {
        let pending = match self.catalog.get(job).map(|entry| &entry.state) {
            Some(JobState::Paused { from, .. }) => *from,
            Some(JobState::Active) | None => self.schedule.due(job),
        };
        pending.filter(|at| *at <= now).is_none_or(|at| {
            stays == Some(at) || skips.first().is_some_and(|skip| skip.first == at)
        })
    }

    pub(super) fn run_now(
        &mut self,
        request: &RunNow,
        now: Timestamp,
    ) -> StoreResult<RunNowAnswer> {
        match self.requests.answer(request.request) {
            Some(Answer::RunNow(answer)) => return Ok(answer),
            Some(other) => return other.mismatch("run_now"),
            None => {}
        }
        let answer = self.make_run(request);
        let kept = Answer::RunNow(answer);
        self.requests.keep(request.request, now, kept);
        Ok(answer)
    }

    fn make_run(&mut self, request: &RunNow) -> RunNowAnswer {
        let (job, id) = (&request.job, request.job.id());
        let run = RunId {
            job: id.clone(),
            cause: request.cause,
        };
        if self.runs.is_busy(&run) {
            return RunNowAnswer::Made;
        }
        if self.catalog.version(id) != Some(request.version) {
            return RunNowAnswer::Conflict;
        }
        let in_flight = self.runs.in_flight(id);
        let policy = job.policy();
        let at_once = usize::try_from(policy.max_instances.get()).unwrap_or(usize::MAX);
        let may_line_up = request.max_lined_up() > 0;
        if in_flight >= at_once.saturating_add(request.max_lined_up()) {
            return RunNowAnswer::Full { in_flight };
        }
        if request.cause.has_own_definition() {
            let version = Version(self.next_number(0));
            self.catalog.keep(version, job.clone());
            self.begin_bound_run(run, version, job.queue(), policy.priority);
        } else if may_line_up {
            self.place_run(run, job.queue(), policy.priority, at_once);
        } else {
            self.begin_run(run, job.queue(), policy.priority);
        }
        RunNowAnswer::Made
    }
}
