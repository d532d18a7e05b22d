//! `dispatch.lua` and `promote.lua`.

use super::super::checks::Check;
use super::super::plan::Plan;
use super::super::state::{Breach, Run, Tick};
use super::{Script, Token, Waiting};

/// A due job, planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Item {
    pub(in crate::model) job: u8,
    pub(in crate::model) due: Tick,
    pub(in crate::model) version: u8,
    pub(in crate::model) definition: u8,
    pub(in crate::model) plan: Plan,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Dispatch {
    pub(in crate::model) token: Token,
    pub(in crate::model) planned_at: Tick,
    pub(in crate::model) items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Promote {
    pub(in crate::model) token: Token,
    pub(in crate::model) waiting: Vec<Waiting>,
}

/// What became of a dispatch.
pub(in crate::model) enum Dispatched {
    /// Done, but for items whose fire time had been settled up to then.
    Done(Vec<(u8, Tick)>),
    Lost,
    Stale,
}

impl Script<'_> {
    pub(in crate::model) fn dispatch(&mut self, request: &Dispatch) -> Dispatched {
        let is_leaders = self.store.lease == Some(request.token);
        if self.on(Check::Token) && !is_leaders {
            return Dispatched::Lost;
        }
        let age = self.store.now.abs_diff(request.planned_at);
        if self.on(Check::Age) && age > self.left.max_age {
            return Dispatched::Stale;
        }
        let mut settled_before = Vec::new();
        for item in &request.items {
            let job = *self.store.job(item.job);
            let plan = item.plan;
            let fired = job.fired.filter(|_| self.on(Check::Fired));
            let settles = plan.run.is_some() || plan.skips != 0;
            let passed = fired.map_or(plan.settled, |fired| fired.max(plan.settled));
            if (self.on(Check::Score) && job.due != Some(item.due))
                || (self.on(Check::Version) && job.version != item.version)
                || job.due.is_none()
            {
                continue;
            }
            if let (true, Some(fired)) = (settles, fired)
                && fired >= plan.first
            {
                settled_before.push((item.job, fired));
                continue;
            }
            if plan.next.is_some_and(|next| next <= passed) {
                continue;
            }
            let full = job.in_flight() >= self.left.max_instances;
            if plan.run.is_some() && full {
                if self.on(Check::Room) {
                    continue;
                }
                self.past.note(Breach::TooManyInFlight);
            }
            if !is_leaders {
                self.past.note(Breach::DispatchedWithoutToken);
            }
            self.settle_fires(item);
        }
        Dispatched::Done(settled_before)
    }

    fn settle_fires(&mut self, item: &Item) {
        let (now, plan) = (self.store.now, item.plan);
        let job = self.store.job_mut(item.job);
        if job.definition != item.definition {
            self.past.note(Breach::DispatchedOtherwise);
        }
        job.due = plan.next;
        job.fired = job.fired.max(Some(plan.settled));
        self.past.skip(item.job, plan.skips);
        let Some(fire) = plan.run else { return };
        let grace = self.left.grace.unwrap_or(u8::MAX);
        let latest = grace.saturating_add(self.left.max_age);
        if now.saturating_sub(fire) > latest {
            self.past.note(Breach::MadeLate);
        }
        let run = Run {
            job: item.job,
            number: fire,
        };
        self.make(run);
    }

    pub(in crate::model) fn make(&mut self, run: Run) {
        self.past.make(run);
        self.store.job_mut(run.job).busy |= run.bit();
        self.store.ready.push(Waiting {
            run,
            attempt: 1,
            version: 0,
        });
    }

    /// Whether the lease is the caller's.
    pub(in crate::model) fn promote(&mut self, request: &Promote) -> bool {
        if self.on(Check::Token) && self.store.lease != Some(request.token) {
            return false;
        }
        for waiting in &request.waiting {
            let at = self.store.retry.iter().position(|w| w == waiting);
            match at {
                Some(at) => drop(self.store.retry.remove(at)),
                None if self.on(Check::Waits) => continue,
                None => {}
            }
            self.store.ready.push(*waiting);
        }
        true
    }
}
