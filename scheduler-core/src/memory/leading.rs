//! The leader's operations, and those of who would lead.

use super::state::State;
use crate::history::{Record, SkipRecord};
use crate::id::{Epoch, JobId, RunId, SessionId};
use crate::lease::{LeaseToken, LeaseView, Presence, Proof, Steal};
use crate::plan::Plan;
use crate::store::{
    Acquire, AcquireAnswer, Admit, Dispatch, DispatchAnswer, DispatchItem, DueJob, MAX_PLAN_AGE,
    Opening, Park, Peek, PeekAnswer, Peeked, Promote, Refusal, Refused, Retire, Tidy, TidyAnswer,
};
use crate::time::Timestamp;

/// How many records one call of `tidy` forgets at most, of each kind.
const MAX_TIDIED: usize = 1_000;

/// How many jobs one look shows at most whose pause has ended.
const MAX_RESUMES: usize = 200;

impl State {
    pub(super) fn observe(&self, session: &SessionId, now: Timestamp) -> LeaseView {
        let token = self.tenure.token();
        LeaseView {
            token: token.cloned(),
            beat: self.tenure.beat(),
            presence: Presence::Unknown,
            next_due: self.schedule.head(),
            now,
            rank: self.sessions.rank(session, token.map(|t| &t.session)),
        }
    }

    pub(super) fn acquire(&mut self, request: &Acquire, now: Timestamp) -> AcquireAnswer {
        if self.sessions.live(&request.session).is_none() {
            return AcquireAnswer::Gone;
        }
        let expires = now.after(request.ttl);
        if let Some(held) = self.tenure.token().cloned() {
            if held.session == request.session {
                self.tenure.renew(&held, expires);
                return AcquireAnswer::Acquired(held);
            }
            if !self.may_steal(request, &held, now) {
                return AcquireAnswer::Held(held);
            }
            self.tenure.note_steal(now);
            self.sessions.demote(&held.session);
        }
        let token = LeaseToken {
            session: request.session.clone(),
            epoch: Epoch(self.next_number(request.floor)),
            since: now,
        };
        self.tenure.grant(token.clone(), expires);
        AcquireAnswer::Acquired(token)
    }

    /// The holder still stands where it was seen to stand still, something waits for it, and it has
    /// had its time.
    fn may_steal(&self, request: &Acquire, held: &LeaseToken, now: Timestamp) -> bool {
        // In one process nobody can be gone while others go on.
        let stands_still = matches!(&request.steal,
            Some(Steal { token, proof: Proof::StoodStill { beat } })
                if token == held && *beat == self.tenure.beat());
        let is_overdue = self.schedule.head().is_some_and(|due| due <= now);
        stands_still && is_overdue && !self.tenure.is_protected(request.ttl, now)
    }

    pub(super) fn peek(&mut self, request: &Peek, now: Timestamp) -> PeekAnswer {
        if !self.tenure.renew(&request.token, now.after(request.ttl)) {
            return PeekAnswer::LeaseLost;
        }
        self.note_leader_came();
        for queue in &request.queues {
            self.offer(queue, now);
        }
        let reach = now.after(request.ahead);
        let due = self.schedule.overdue(reach).take(request.limit);
        let due = due.filter_map(|(due, job)| {
            Some(DueJob {
                job: job.clone(),
                due,
                version: self.catalog.version(job)?,
                in_flight: self.runs.in_flight(job),
            })
        });
        let openings = self.runs.openings().take(request.limit);
        let openings = openings.map(|job| Opening {
            job: job.clone(),
            version: self.catalog.version(job).unwrap_or_default(),
        });
        let idle = |job: &&JobId| self.runs.in_flight(job) == 0;
        let finished = self.schedule.finished().filter(idle);
        PeekAnswer::Peeked(Peeked {
            now,
            due: due.collect(),
            next_due: self.schedule.next_after(reach),
            hold: self.gates.hold().cloned(),
            retries: self.runs.due_retries(now).take(request.limit).collect(),
            next_retry: self.runs.next_retry(now),
            openings: openings.collect(),
            finished: finished.take(request.limit).cloned().collect(),
            resumes: self
                .schedule
                .resumes(now)
                .take(MAX_RESUMES)
                .cloned()
                .collect(),
            next_resume: self.schedule.next_resume(now),
            follows: !self.following.is_empty(),
            is_busy: self.runs.is_any_in_flight(),
        })
    }

    pub(super) fn dispatch(&mut self, request: &Dispatch, now: Timestamp) -> DispatchAnswer {
        if self.tenure.token() != Some(&request.token) {
            return DispatchAnswer::LeaseLost;
        }
        // The clock may have stepped back since the plans were made.
        if now < request.planned_at || now.since(request.planned_at) > MAX_PLAN_AGE {
            return DispatchAnswer::Stale;
        }
        let makes_runs = |item: &DispatchItem| !item.plan.runs.is_empty();
        if self.gates.hold().is_some() && request.items.iter().any(makes_runs) {
            // Planned before the pause began.
            return DispatchAnswer::Stale;
        }
        self.tenure.progress(&request.token);
        let mut refused = Vec::new();
        for (index, item) in request.items.iter().enumerate() {
            match self.refusal(item) {
                Some(why) => refused.push(Refused { index, why }),
                None => self.settle_fires(item, now),
            }
        }
        DispatchAnswer::Dispatched { refused }
    }

    /// Why an item is not as it was planned, if it is not.
    fn refusal(&self, item: &DispatchItem) -> Option<Refusal> {
        let (job, plan) = (&item.job, &item.plan);
        let is_as_planned = self.schedule.due(job) == Some(item.due)
            && self.catalog.version(job) == Some(item.version);
        if !is_as_planned {
            return Some(Refusal::Changed);
        }
        let fired = self.schedule.fired(job);
        let settles = settles(plan);
        if let (true, Some(fired)) = (settles, fired)
            && plan.first_settled() <= fired
        {
            return Some(Refusal::Fired(fired));
        }
        // The due time only moves past what is settled, or the same fire time would come again.
        let passed = fired.map_or(plan.settled, |fired| fired.max(plan.settled));
        if plan.next.is_some_and(|next| next <= passed) {
            return Some(Refusal::Changed);
        }
        // A plan that only skips is welcome however many runs there are: the limit may have been
        // lowered since they were made.
        let runs = plan.runs.len();
        let limit = item.max_instances.saturating_add(item.max_lined_up);
        if runs > 0 && self.runs.in_flight(job) + runs > limit {
            return Some(Refusal::Full);
        }
        None
    }

    fn settle_fires(&mut self, item: &DispatchItem, now: Timestamp) {
        let (job, plan) = (&item.job, &item.plan);
        match plan.next {
            Some(next) => self.schedule.set_due(job, next),
            None => self.schedule.finish(job),
        }
        if settles(plan) {
            self.schedule.settle(job, plan.settled);
        }
        for at in &plan.runs {
            let run = RunId::fire(job.clone(), *at);
            self.place_run(run, &item.queue, item.priority, item.max_instances);
        }
        self.skip(job, &plan.skips, item.note.as_deref(), now);
    }

    pub(super) fn admit(&mut self, request: &Admit) -> bool {
        let leads = self.tenure.progress(&request.token);
        if leads {
            for item in &request.items {
                let job = &item.job;
                let is_open = self.runs.openings().any(|open| open == job);
                if is_open && self.catalog.version(job).unwrap_or_default() == item.version {
                    while let Some(run) = self.runs.next_in_line(job, item.max_instances) {
                        self.begin_run(run, &item.queue, item.priority);
                    }
                }
            }
        }
        leads
    }

    pub(super) fn park(&mut self, request: &Park, now: Timestamp) -> bool {
        let leads = self.tenure.progress(&request.token);
        if leads {
            for item in &request.jobs {
                let version = self.catalog.version(&item.job).unwrap_or_default();
                if version != item.version {
                    continue;
                }
                if let Some(ended) = self.schedule.paused_until(&item.job) {
                    if ended <= item.due {
                        self.schedule.park(&item.job, ended);
                    }
                } else if self.schedule.due(&item.job) == Some(item.due) {
                    self.schedule.park(&item.job, item.due);
                    // It is recorded as skipped: it must not become a run when the job comes back.
                    self.schedule.settle(&item.job, item.due);
                    let (job, reason) = (item.job.clone(), item.reason.clone());
                    let record = SkipRecord::parked(job, item.due, reason);
                    self.journal.append(now, Record::Skip(record));
                }
            }
        }
        leads
    }

    pub(super) fn promote(&mut self, request: &Promote, now: Timestamp) -> bool {
        let leads = self.tenure.progress(&request.token);
        if leads {
            for retry in request.retries.iter().filter(|r| r.not_before <= now) {
                if self.runs.undelay(retry) {
                    self.runs.append(&retry.queue, retry.waiting.clone());
                    self.rings.ready(&retry.queue);
                }
            }
        }
        leads
    }

    pub(super) fn retire(&mut self, request: &Retire, now: Timestamp) -> bool {
        let leads = self.tenure.progress(&request.token);
        if leads {
            for job in &request.jobs {
                if self.schedule.is_finished(job) && self.runs.in_flight(job) == 0 {
                    let entry = self.catalog.get(job);
                    let keeps = entry.is_some_and(|entry| entry.job.policy().keep);
                    self.schedule.clear(job);
                    self.uniques.end(job);
                    if !keeps {
                        self.catalog.remove(job, now, |_| false);
                    }
                }
            }
        }
        leads
    }

    pub(super) fn tidy(&mut self, request: &Tidy, now: Timestamp) -> TidyAnswer {
        if !self.tenure.progress(&request.token) {
            return TidyAnswer::LeaseLost;
        }
        let records = self.journal.trim(request.keep_history, MAX_TIDIED);
        let expired = request
            .keep_history_for
            .map_or(0, |keep| self.journal.expire(now.before(keep), MAX_TIDIED));
        let answers = self
            .requests
            .forget(MAX_TIDIED, |at| now.since(at) > request.keep_requests);
        let past = |at| now.since(at) > request.keep_fired;
        let buried = self.catalog.bury(MAX_TIDIED, past);
        for job in &buried {
            self.schedule.forget(job);
            self.journal.kept.bury(job, now);
        }
        let kept = self.journal.kept.tidy(now, MAX_TIDIED);
        let failed = self.failed.trim(request.keep_failed, MAX_TIDIED, |at| {
            now.since(at) > request.keep_failed_for
        });
        let keys = self.uniques.forget(MAX_TIDIED, now);
        // As many as allowed: there may be more.
        let numbers = [records, expired, answers, buried.len(), failed, keys, kept];
        if numbers.contains(&MAX_TIDIED) {
            TidyAnswer::More
        } else {
            TidyAnswer::Done
        }
    }

    pub(super) fn release(&mut self, token: &LeaseToken) {
        if self.tenure.release(token) {
            self.rings.lease();
        }
    }
}

/// Whether a plan settles any fire time, or only moves on.
fn settles(plan: &Plan) -> bool {
    !plan.runs.is_empty() || !plan.skips.is_empty()
}
