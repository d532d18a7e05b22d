//! Planning: what becomes of the fire times of a job that is due.
//!
//! A pure function from (job, its due time, now, runs in flight) to a [`Plan`]: which fire times
//! become runs, which are skipped and why, and when the job is due next. The leader plans; the
//! store only checks that the job still is as it was planned, and moves records.
//!
//! ```text
//!  due                     now - grace          now
//!   |---x----x----x----x-------|----x-----x------|----x-->
//!   |<------ misfired -------->|<-- coalesced -->|    next
//!                                    (but one: the run)
//! ```
//!
//! One call looks at a bounded number of fire times. Where more have passed, `next` still lies in
//! the past, and the next call goes on from there: nothing is forgotten, nothing takes for ever.
//!
//! A job that wants each of its fire times has a bound, `max_catch_up`, so that a week down cannot
//! flood its queue. It holds over all the calls of one catch-up without any of them knowing of the
//! others: a fire time becomes a run only if, at the moment of the plan, at most so many fire times
//! were due from it on (itself counted). So at any moment at most so many passed fire times can
//! still become runs, and each earlier one is recorded as skipped.

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::policy::{Coalesce, Grace};
use crate::time::Timestamp;
use crate::trigger::Stretch;

/// How many passed fire times one call looks at.
pub const MAX_FIRES_PER_PLAN: u64 = 10_000;

/// How many runs one call makes of one job. Few, for a leader plans hundreds of jobs at once, and
/// their runs are made in one step.
pub const MAX_RUNS_PER_PLAN: usize = 20;

/// Why a fire time did not become a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It was reached later than the job's grace time allows.
    Misfired,
    /// Another fire time that was due with it ran for it.
    Coalesced,
    /// More fire times were due at once than the job catches up with: see
    /// [`max_catch_up`](crate::Policy::max_catch_up).
    CatchUp,
    /// As many runs of the job as it allows were in flight.
    MaxInstances,
    /// The job was paused.
    Paused,
    /// The job was removed before its leader got to it.
    Removed,
    /// The job's definition was missing or could not be read: the job was set aside.
    Unreadable,
}

impl SkipReason {
    /// The reason as one word, as history shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Misfired => "misfired",
            Self::Coalesced => "coalesced",
            Self::CatchUp => "catch_up",
            Self::MaxInstances => "max_instances",
            Self::Paused => "paused",
            Self::Removed => "removed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Fire times in a row that were skipped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many there are.
    pub count: u64,
    /// Why.
    pub reason: SkipReason,
}

impl Skip {
    fn stretch(first: Timestamp, stretch: &Stretch, reason: SkipReason) -> Self {
        Self {
            first,
            last: stretch.last,
            count: stretch.count,
            reason,
        }
    }
}

/// What becomes of a due job's fire times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Fire times that become runs, in order.
    pub runs: Vec<Timestamp>,
    /// Fire times that do not.
    pub skips: Vec<Skip>,
    /// Up to which instant this plan settles all fire times: the highest of them, or one just
    /// before the due time where it settles none.
    pub settled: Timestamp,
    /// When the job is due next; in the past where more fire times have passed than one plan
    /// settles; none where its schedule is over.
    pub next: Option<Timestamp>,
}

/// Settles the fire times of `job` from `due` (the stored one, itself a fire time) to `now`.
///
/// `in_flight` counts the job's runs that have been dispatched and have not ended, those included
/// that are lined up behind others.
#[must_use]
pub fn plan(job: &Job, due: Timestamp, now: Timestamp, in_flight: usize) -> Plan {
    let mut plan = Plan {
        runs: Vec::new(),
        skips: Vec::new(),
        // Nothing yet: a fire time that is not due must stay open (a leader whose clock ran ahead
        // may ask).
        settled: Timestamp::from_ms(due.as_ms() - 1),
        next: Some(due),
    };
    if due > now {
        return plan;
    }
    let Some(first) = plan.skip_misfired(job, due, now) else {
        return plan;
    };
    let free = job.policy().max_in_flight().saturating_sub(in_flight);
    match job.policy().coalesce {
        Coalesce::Latest => plan.keep_latest(job, first, now, free),
        Coalesce::Earliest => plan.keep_earliest(job, first, now, free),
        Coalesce::All => plan.keep_all(job, first, now, free),
    }
    plan
}

/// Settles the fire times of `job` from `due` to `now` as skipped, because nothing is to run.
#[must_use]
pub fn plan_paused(job: &Job, due: Timestamp, now: Timestamp) -> Plan {
    let mut plan = Plan {
        runs: Vec::new(),
        skips: Vec::new(),
        settled: Timestamp::from_ms(due.as_ms() - 1),
        next: Some(due),
    };
    if due <= now {
        let stretch = job.stretch(due, now, MAX_FIRES_PER_PLAN);
        plan.skip(due, &stretch, SkipReason::Paused);
    }
    plan
}

/// The plan for a job whose due time has been settled already, up to `fired`: it only moves on.
///
/// Happens after the server's clock or data went back.
#[must_use]
pub fn move_past(job: &Job, fired: Timestamp) -> Plan {
    Plan {
        runs: Vec::new(),
        skips: Vec::new(),
        settled: fired,
        next: job.following(fired),
    }
}

impl Plan {
    /// The lowest fire time that this plan settles; where it settles none, the highest one that was
    /// settled before.
    #[must_use]
    pub fn first_settled(&self) -> Timestamp {
        let skips = self.skips.iter().map(|skip| skip.first);
        self.runs
            .iter()
            .copied()
            .chain(skips)
            .min()
            .unwrap_or(self.settled)
    }

    /// Settles what is past its grace time; answers with the first fire time that is not.
    fn skip_misfired(&mut self, job: &Job, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let Grace::Within(grace) = job.policy().misfire_grace_time else {
            return Some(due);
        };
        // Exactly the grace time late is still in time.
        let horizon = Timestamp::from_ms(now.before(grace).as_ms() - 1);
        if due > horizon {
            return Some(due);
        }
        let stretch = job.stretch(due, horizon, MAX_FIRES_PER_PLAN);
        self.skip(due, &stretch, SkipReason::Misfired);
        stretch.next.filter(|next| *next > horizon && *next <= now)
    }

    fn keep_latest(&mut self, job: &Job, first: Timestamp, now: Timestamp, free: usize) {
        let stretch = job.stretch(first, now, MAX_FIRES_PER_PLAN);
        if stretch.next.is_some_and(|next| next <= now) {
            // The latest is not in sight yet.
            self.skip(first, &stretch, SkipReason::Coalesced);
            return;
        }
        if stretch.count > 1 {
            let just_before = Timestamp::from_ms(stretch.last.as_ms() - 1);
            let earlier = job.stretch(first, just_before, stretch.count - 1);
            self.skips
                .push(Skip::stretch(first, &earlier, SkipReason::Coalesced));
        }
        self.run_or_skip(stretch.last, free);
        self.next = stretch.next;
    }

    fn keep_earliest(&mut self, job: &Job, first: Timestamp, now: Timestamp, free: usize) {
        self.run_or_skip(first, free);
        self.next = job.following(first);
        if let Some(next) = self.next.filter(|next| *next <= now) {
            // Where this does not reach `now`, the following plan finds later fire times that no
            // earlier one stands for, and starts anew: bounded work is worth a second run.
            let stretch = job.stretch(next, now, MAX_FIRES_PER_PLAN);
            self.skip(next, &stretch, SkipReason::Coalesced);
        }
    }

    fn keep_all(&mut self, job: &Job, first: Timestamp, now: Timestamp, free: usize) {
        let Some(first) = self.skip_beyond_catch_up(job, first, now) else {
            return;
        };
        let mut at = Some(first);
        while let Some(due) = at.filter(|due| *due <= now) {
            if self.runs.len() == free {
                let stretch = job.stretch(due, now, MAX_FIRES_PER_PLAN);
                self.skip(due, &stretch, SkipReason::MaxInstances);
                return;
            }
            if self.runs.len() == MAX_RUNS_PER_PLAN {
                break;
            }
            self.run_or_skip(due, free);
            at = job.following(due);
        }
        self.next = at;
    }

    /// Skips the fire times that the job does not catch up with; answers with the first one that it
    /// does, where that is in sight.
    fn skip_beyond_catch_up(
        &mut self,
        job: &Job,
        first: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let wanted = u64::from(job.policy().max_catch_up.get());
        let seen = job.stretch(first, now, MAX_FIRES_PER_PLAN);
        let is_more = seen.next.is_some_and(|next| next <= now);
        let due = seen.count + u64::from(is_more);
        if due <= wanted {
            return Some(first);
        }
        let skipped = job.stretch(first, now, due - wanted);
        self.skip(first, &skipped, SkipReason::CatchUp);
        // With more to come, the next of these may have to be skipped as well.
        skipped.next.filter(|_| !is_more)
    }

    fn run_or_skip(&mut self, due: Timestamp, free: usize) {
        if self.runs.len() < free {
            self.runs.push(due);
        } else {
            let reason = SkipReason::MaxInstances;
            self.skips.push(Skip {
                first: due,
                last: due,
                count: 1,
                reason,
            });
        }
        self.settled = due;
    }

    fn skip(&mut self, first: Timestamp, stretch: &Stretch, reason: SkipReason) {
        self.skips.push(Skip::stretch(first, stretch, reason));
        self.settled = stretch.last;
        self.next = stretch.next;
    }
}
