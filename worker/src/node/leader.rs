//! The leader: settles due fire times, one batch after the other, and sleeps until the next.
//!
//! ```text
//!   peek -> plan -> dispatch -> admit -> promote -> follow -> retire --+--> sleep until the next
//!    ^      (core)                                                     |    due time, one beat at most
//!    +-------------------------- more is due --------------------------+
//! ```
//!
//! Peeking renews the lease and raises the beat, and it is this loop itself that does it: a leader
//! that has come to a halt anywhere shows no progress, and is replaced. What it decides is decided
//! in [`scheduler_core::plan`]; what it does is checked item by item where it is done, so that a
//! plan made under a lease that has passed on meanwhile comes to nothing.
//!
//! No outcome is ever waited for twice: after a lost answer the leader just looks again. What was
//! done is no longer due.
//!
//! It looks a few milliseconds before the next due time, and plans then what comes to be due at one
//! instant: all that is left to do on time is to send the dispatch. What might come out otherwise by then is
//! planned when it is due: where runs are in flight, or the namespace is paused. A change meanwhile is
//! refused by the dispatch, as ever.
//!
//! Where more is due than one batch takes, the next look goes out right behind the dispatch, and both
//! are answered together. The store takes them in that order; where it does not (a connection was lost
//! between the two), what was seen is what this very dispatch settles, and is refused when it is
//! dispatched again.

mod upkeep;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_timer::Delay;
use scheduler_core::history::SkipRecord;
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::{move_past, plan, plan_paused};
use scheduler_core::queue::Hold;
use scheduler_core::store::{
    Dispatch, DispatchAnswer, DispatchItem, DueJob, ParkItem, Peek, PeekAnswer, Peeked, Refusal,
    Refused, StoreResult, Wake,
};
use scheduler_core::{Job, JobId, QueueName, RunId, Shard, Timestamp, Version};
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::event::Event;
use crate::node::batch::BatchSize;
use crate::node::definitions::Lookup;
use crate::node::link::Backoff;
use crate::node::settings::Timing;
use crate::node::shared::Shared;
use crate::node::waiter::Waiter;

/// How long the leader sleeps at most.
///
/// It need not look often while nothing is due: a standby counts only standing still while something
/// is. But where a job came to be due earlier and the wake-up for it was lost, a leader that sleeps
/// on stands still by that measure. So one sleep must end well within a standby's window
/// ([`TakeoverRule::window`], 750 ms): who is only asleep is never replaced.
///
/// [`TakeoverRule::window`]: scheduler_core::lease::TakeoverRule::window
const BEAT: Duration = Duration::from_millis(500);

/// How long it sleeps at most once nothing has happened for [`QUIET_AFTER`]: no run is in flight, so that
/// none waits to be offered anew, to be tried again or to be followed. All that it may miss then is the
/// wake-up for a job that is put and due at once; a standby that sees the leader sleep on takes the
/// lease, which costs less than waiting for it would.
const QUIET_BEAT: Duration = Duration::from_millis(1250);

/// For how long nothing must have happened.
const QUIET_AFTER: Duration = Duration::from_secs(5);

/// How long it sleeps at most while there are jobs that follow others: nobody wakes it when a run ends,
/// which would cost each run of each other job.
const FOLLOW_BEAT: Duration = Duration::from_millis(100);

/// How long it pauses after a round that moved nothing although something was due.
const NO_PROGRESS: Duration = Duration::from_millis(20);

/// How long it plans at most before it dispatches what it has. Catching up on a long pause takes
/// time; plans grow too old meanwhile, and a leader that only plans shows no progress.
const PLANNING: Duration = Duration::from_millis(100);

/// How long before the next due time it looks, to plan ahead: longer than it takes to look at 500 jobs, plan
/// them and write that down.
const AHEAD: Duration = Duration::from_millis(8);

/// How often it forgets what is past keeping.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// The same while nothing happens.
const QUIET_TIDY_EVERY: Duration = Duration::from_secs(60);

/// How the leading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// The lease is somebody else's.
    LeaseLost,
    /// The node stops: the lease is still its own.
    Stopped,
}

/// What to do after one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// More is due.
    Again,
    /// Nothing is due until then.
    RestUntil(Option<Timestamp>),
    /// Something is due, and could not be moved.
    NoProgress,
    LeaseLost,
}

/// One term of leading.
pub(crate) struct Leader<S> {
    shared: Arc<Shared<S>>,
    token: LeaseToken,
    /// Queues in which runs may wait, as far as this leader has seen.
    queues: BTreeSet<QueueName>,
    batch: BatchSize,
    /// When it last forgot what is past keeping, by [`boottime`].
    tidied_at: Option<Duration>,
    /// Whether to look again behind a dispatch, and what was seen so.
    looks_ahead: bool,
    seen: Option<Seen>,
    /// What was planned ahead, and until when it has looked.
    prepared: Option<Prepared>,
    reach: Option<Timestamp>,
    /// Whether there are jobs that follow others.
    follows: bool,
    /// Whether all that ended was followed when it last looked.
    has_followed: bool,
    /// When it last saw or did anything, by [`boottime`].
    stirred_at: Duration,
}

/// What was seen by one look.
struct Seen {
    peeked: Peeked,
    /// What comes to be due soon.
    soon: Vec<DueJob>,
    /// How many due jobs it would have shown.
    limit: usize,
}

impl Seen {
    /// Whether more may be due.
    fn is_full(&self) -> bool {
        self.peeked.due.len() >= self.limit
    }
}

/// Plans for what comes to be due.
struct Prepared {
    at: Timestamp,
    items: Vec<DispatchItem>,
    jobs: Vec<Arc<Job>>,
    /// Whether that is all that is due then.
    is_all: bool,
    /// What comes next after that, as far as is known.
    next: Option<Timestamp>,
}

/// What one dispatch did.
#[derive(Debug, Default)]
struct Moved {
    runs: usize,
    skips: usize,
    jobs: usize,
    /// When the first of the moved jobs is due again.
    next: Option<Timestamp>,
}

impl Moved {
    fn count(&mut self, item: &DispatchItem) {
        self.runs += item.plan.runs.len();
        self.skips += item.plan.skips.len();
        self.jobs += 1;
        self.next = earliest(self.next, item.plan.next);
    }
}

impl<S: Shard> Leader<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, token: LeaseToken) -> Self {
        let queues = shared.settings.info.queues.iter().cloned().collect();
        Self {
            shared,
            token,
            queues,
            batch: BatchSize::new(),
            // A term may be short: each begins with it.
            tidied_at: None,
            looks_ahead: false,
            seen: None,
            prepared: None,
            reach: None,
            follows: false,
            has_followed: false,
            // A leader before it may wait still for the wake-ups that are meant for this one.
            stirred_at: boottime(),
        }
    }

    /// Leads until the lease is lost or the node stops.
    pub(crate) async fn lead(&mut self, stop: &CancellationToken) -> Led {
        let mut wake = Waiter::new(self.shared.link.clone(), Wake::Leader);
        let mut backoff = Backoff::up_to(beat(&self.shared.settings.timing));
        self.looks_ahead = true;
        while !stop.is_cancelled() {
            let round = self.run_once().await;
            if round != Ok(Round::Again) {
                // It would be old by then.
                self.seen = None;
            }
            let pause = match round {
                Ok(Round::LeaseLost) => return Led::LeaseLost,
                Ok(Round::Again) => {
                    backoff.reset();
                    // A store in this process answers without ever yielding.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Round::RestUntil(next)) => {
                    backoff.reset();
                    rest(self.beat(), next.map(|next| self.until(next)))
                }
                trouble => {
                    let pause = trouble.map_or_else(|_| backoff.next(), |_| NO_PROGRESS);
                    // Without listening to wake-ups: they may come at once, again and again.
                    let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    continue;
                }
            };
            // The runtime's timers count whole milliseconds, and round up.
            let is_on_time = self.prepared.is_some() && !self.shared.clock.is_pinned();
            tokio::select! {
                () = stop.cancelled() => {}
                () = Delay::new(pause), if is_on_time => {}
                () = tokio::time::sleep(pause) => {}
                () = wake.woken() => {}
            }
        }
        Led::Stopped
    }

    /// How long until it is to look at what is due `at` a time: earlier, if it has not looked so far.
    fn until(&self, at: Timestamp) -> Duration {
        let left = self.shared.clock.until(at);
        if self.reach.is_some_and(|reach| at <= reach) {
            left
        } else {
            left.saturating_sub(AHEAD)
        }
    }

    /// How long to sleep at most.
    fn beat(&self) -> Duration {
        let timing = &self.shared.settings.timing;
        if self.is_quiet() {
            quiet_beat(timing)
        } else if self.follows {
            beat(timing).min(FOLLOW_BEAT)
        } else {
            beat(timing)
        }
    }

    /// Whether nothing has happened for a while.
    fn is_quiet(&self) -> bool {
        boottime().saturating_sub(self.stirred_at) > QUIET_AFTER
    }

    /// One round: looks at what is due, and settles it.
    pub(crate) async fn run_once(&mut self) -> StoreResult<Round> {
        if let Some(prepared) = self.prepared.take()
            && self.shared.clock.until(prepared.at).is_zero()
        {
            return self.settle_prepared(prepared).await;
        }
        let seen = match self.seen.take() {
            Some(seen) => seen,
            None => match self.look().await? {
                Some(seen) => seen,
                None => return Ok(Round::LeaseLost),
            },
        };
        self.settle(seen).await
    }

    /// Looks at what is due; none where the lease is lost.
    async fn look(&mut self) -> StoreResult<Option<Seen>> {
        let request = self.peek();
        let sent = boottime();
        let seen = self.ask_peek(&request).await?;
        self.batch.round_trip(boottime().saturating_sub(sent));
        Ok(seen)
    }

    fn peek(&self) -> Peek {
        Peek {
            token: self.token.clone(),
            ttl: self.shared.settings.timing.lease_ttl,
            ahead: if self.looks_ahead {
                AHEAD
            } else {
                Duration::ZERO
            },
            limit: self.batch.size(),
            queues: self.queues.iter().cloned().collect(),
        }
    }

    async fn ask_peek(&self, request: &Peek) -> StoreResult<Option<Seen>> {
        let link = &self.shared.link;
        let sent = boottime();
        let PeekAnswer::Peeked(mut peeked) = link.ask("peek", link.store.peek(request)).await?
        else {
            return Ok(None);
        };
        self.shared.clock.learn(sent, boottime(), peeked.now);
        for due in &peeked.due {
            self.shared.saw(due.version.0);
        }
        let due = peeked.due.partition_point(|due| due.due <= peeked.now);
        let soon = peeked.due.split_off(due);
        let limit = request.limit;
        Ok(Some(Seen {
            peeked,
            soon,
            limit,
        }))
    }

    /// Settles what was seen to be due, and what else it calls for.
    async fn settle(&mut self, seen: Seen) -> StoreResult<Round> {
        let peeked = &seen.peeked;
        if peeked.is_busy || !peeked.due.is_empty() {
            self.stirred_at = boottime();
        }
        let mut next = earliest(peeked.next_due, peeked.next_retry);
        next = earliest(next, peeked.next_resume);
        let soon = seen.soon.first().map(|due| due.due);
        next = earliest(soon, next);
        self.reach = self.looks_ahead.then(|| peeked.now.after(AHEAD));
        let mut stuck = false;
        // What makes room must go on where nothing else does: a full store takes in nothing more.
        let mut trouble = None;
        if !peeked.due.is_empty() {
            match self.settle_due(&seen).await {
                Ok(Some(moved)) => {
                    stuck = moved.jobs == 0;
                    next = earliest(next, moved.next);
                    if moved.jobs < peeked.due.len() || seen.is_full() {
                        // Some were not as they had been seen, or not all were seen.
                        next = earliest(next, Some(peeked.now));
                    }
                }
                Ok(None) => return Ok(Round::LeaseLost),
                Err(error) => trouble = Some(error),
            }
        }
        if !peeked.retries.is_empty() || !peeked.openings.is_empty() {
            // Each may bring another that was not shown yet.
            next = earliest(next, Some(peeked.now));
            stuck = false;
        }
        match self.end_pauses(peeked).await {
            // They may be due at once.
            Ok(true) => {
                next = earliest(next, Some(peeked.now));
                stuck = false;
            }
            Ok(false) => {}
            Err(error) => {
                trouble.get_or_insert(error);
            }
        }
        let admitted = self.admit(peeked).await;
        let promoted = self.promote(peeked).await;
        let followed = self.follow(peeked).await;
        let retired = self.retire(peeked).await;
        if let Some(seen) = &mut self.seen {
            // It was looked at before these went.
            let gone: HashSet<_> = peeked.finished.iter().collect();
            seen.peeked.finished.retain(|job| !gone.contains(job));
        }
        let tidied = self.tidy().await;
        for done in [admitted, promoted, followed, retired, tidied] {
            match done {
                Ok(true) => {}
                Ok(false) => return Ok(Round::LeaseLost),
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        if let Some(error) = trouble {
            return Err(error);
        }
        Ok(match next {
            Some(_) if stuck => Round::NoProgress,
            Some(next) if next <= peeked.now => Round::Again,
            next => {
                if soon.is_some() && soon == next {
                    self.prepare(seen).await?;
                }
                Round::RestUntil(next)
            }
        })
    }

    /// Plans what comes to be due first, as it is to be dispatched then.
    async fn prepare(&mut self, seen: Seen) -> StoreResult<()> {
        let Seen {
            mut peeked,
            mut soon,
            limit,
        } = seen;
        let Some(at) = soon.first().map(|due| due.due) else {
            return Ok(());
        };
        let is_full = soon.len() >= limit;
        let later = soon.split_off(soon.partition_point(|due| due.due == at));
        let together = soon.len();
        // A run that ends by then makes room.
        soon.retain(|due| due.in_flight == 0);
        if soon.is_empty() || peeked.hold.is_some() {
            return Ok(());
        }
        let mut next = earliest(later.first().map(|due| due.due), peeked.next_due);
        next = earliest(next, earliest(peeked.next_retry, peeked.next_resume));
        (peeked.now, peeked.due) = (at, soon);
        let wanted: Vec<_> = peeked.due.iter().map(wanted).collect();
        let definitions = self.shared.definitions.look_up(&wanted).await?;
        let (mut items, mut jobs) = (Vec::new(), Vec::new());
        for (due, definition) in peeked.due.iter().zip(definitions) {
            if let Lookup::Found(job) = definition {
                items.push(self.planned(due, &job, &peeked));
                jobs.push(job);
            }
        }
        self.prepared = Some(Prepared {
            at,
            is_all: items.len() == together && (!is_full || !later.is_empty()),
            items,
            jobs,
            next,
        });
        Ok(())
    }

    /// Dispatches what was planned ahead, now that it is due.
    async fn settle_prepared(&mut self, prepared: Prepared) -> StoreResult<Round> {
        let Prepared {
            at,
            items,
            jobs,
            is_all,
            next,
        } = prepared;
        self.stirred_at = boottime();
        // What was seen then is past.
        self.reach = None;
        let planned = items.len();
        let request = Dispatch {
            token: self.token.clone(),
            planned_at: at,
            items,
        };
        let Some(moved) = self
            .dispatch(request, &jobs, !is_all, Moved::default())
            .await?
        else {
            return Ok(Round::LeaseLost);
        };
        if moved.jobs < planned || !is_all {
            return Ok(Round::Again);
        }
        Ok(Round::RestUntil(earliest(next, moved.next)))
    }

    /// Plans what is due and dispatches it; none where the lease is lost.
    async fn settle_due(&mut self, seen: &Seen) -> StoreResult<Option<Moved>> {
        let peeked = &seen.peeked;
        let wanted: Vec<_> = peeked.due.iter().map(wanted).collect();
        let definitions = self.shared.definitions.look_up(&wanted).await?;
        let mut items = Vec::with_capacity(peeked.due.len());
        let mut jobs = Vec::with_capacity(peeked.due.len());
        let mut unreadable = Vec::new();
        let began = boottime();
        for (due, definition) in peeked.due.iter().zip(definitions) {
            if boottime().saturating_sub(began) > PLANNING {
                // The others are due still, and the next look finds them.
                break;
            }
            let why = match definition {
                Lookup::Found(job) => {
                    items.push(self.planned(due, &job, peeked));
                    jobs.push(job);
                    continue;
                }
                Lookup::Gone => "its record is gone".to_owned(),
                Lookup::Unreadable(why) => why,
            };
            unreadable.push(ParkItem {
                job: due.job.clone(),
                due: due.due,
                version: due.version,
                reason: why,
            });
        }
        let moved = Moved {
            jobs: unreadable.len(),
            ..Moved::default()
        };
        if !unreadable.is_empty() && !self.park(unreadable).await? {
            return Ok(None);
        }
        if items.is_empty() {
            return Ok(Some(moved));
        }
        let request = Dispatch {
            token: self.token.clone(),
            planned_at: peeked.now,
            items,
        };
        self.dispatch(request, &jobs, seen.is_full(), moved).await
    }

    fn planned(&mut self, due: &DueJob, job: &Job, peeked: &Peeked) -> DispatchItem {
        if !self.queues.contains(job.queue()) {
            self.queues.insert(job.queue().clone());
        }
        let limit = job.policy().max_instances.get();
        DispatchItem {
            job: due.job.clone(),
            due: due.due,
            version: due.version,
            queue: job.queue().clone(),
            priority: job.policy().priority,
            max_instances: usize::try_from(limit).unwrap_or(usize::MAX),
            max_lined_up: job.policy().max_lined_up(),
            plan: if peeked.hold.is_some() {
                plan_paused(job, due.due, peeked.now)
            } else {
                plan(job, due.due, peeked.now, due.in_flight)
            },
            note: peeked.hold.as_ref().map(Hold::detail),
        }
    }

    /// Dispatches these, and looks again behind them where more is due; those whose fire time was settled
    /// before are moved past it. None where the lease is lost.
    async fn dispatch(
        &mut self,
        mut request: Dispatch,
        jobs: &[Arc<Job>],
        more_is_due: bool,
        mut moved: Moved,
    ) -> StoreResult<Option<Moved>> {
        let behind = (self.looks_ahead && more_is_due).then(|| self.peek());
        let Some(refused) = self.send(&request, behind, &mut moved).await? else {
            return Ok(None);
        };
        let settled_before: Vec<_> = refused
            .iter()
            .filter_map(|refused| match refused.why {
                Refusal::Fired(fired) => {
                    let mut item = request.items[refused.index].clone();
                    item.plan = move_past(&jobs[refused.index], fired.max(item.due));
                    Some(item)
                }
                Refusal::Changed | Refusal::Full => None,
            })
            .collect();
        if !settled_before.is_empty() {
            request.items = settled_before;
            if self.send(&request, None, &mut moved).await?.is_none() {
                return Ok(None);
            }
        }
        if moved.runs + moved.skips > 0 {
            self.shared.counters.dispatched(moved.runs);
        }
        Ok(Some(moved))
    }

    /// Sends one batch, and the next look right behind it if there is one; counts what it moved.
    /// Answers with what was refused; none where the lease is lost.
    async fn send(
        &mut self,
        request: &Dispatch,
        behind: Option<Peek>,
        moved: &mut Moved,
    ) -> StoreResult<Option<Vec<Refused>>> {
        let link = &self.shared.link;
        let dispatching = async {
            let sent = boottime();
            let answer = link.ask("dispatch", link.store.dispatch(request)).await;
            (answer, boottime().saturating_sub(sent))
        };
        let (answer, took) = match &behind {
            Some(look) => {
                let (dispatched, seen) = tokio::join!(dispatching, self.ask_peek(look));
                // Where it could not look, or no longer leads, the next look finds it so.
                self.seen = seen.ok().flatten();
                dispatched
            }
            None => dispatching.await,
        };
        self.batch.took(took);
        match answer? {
            DispatchAnswer::Dispatched { refused } => {
                let mut refusals = refused
                    .iter()
                    .map(|refused| refused.index)
                    .collect::<Vec<_>>();
                refusals.sort_unstable();
                for (index, item) in request.items.iter().enumerate() {
                    if refusals.binary_search(&index).is_err() {
                        moved.count(item);
                        link.meter.dispatched(item, request.planned_at);
                        self.tell_of(item);
                        item.plan
                            .skips
                            .iter()
                            .for_each(|skip| link.meter.skipped(skip));
                    }
                }
                Ok(Some(refused))
            }
            // Nothing was done, and all is due still: the next look finds it so.
            DispatchAnswer::Stale => Ok(Some(Vec::new())),
            DispatchAnswer::LeaseLost => Ok(None),
        }
    }

    /// Tells what became of a due job.
    fn tell_of(&self, item: &DispatchItem) {
        let events = &self.shared.events;
        for fire in &item.plan.runs {
            events.tell_of_run(|| Event::RunSubmitted {
                run: RunId::fire(item.job.clone(), *fire),
            });
        }
        for skip in &item.plan.skips {
            events.tell_of_record(|| {
                let record = SkipRecord::new(item.job.clone(), skip);
                Event::Skipped(record.with_detail(item.note.as_deref()))
            });
        }
    }
}

fn wanted(due: &DueJob) -> (JobId, Version) {
    (due.job.clone(), due.version)
}

/// How long a leader sleeps at most, so that its lease lives and no standby takes its sleep for a
/// standstill.
fn beat(timing: &Timing) -> Duration {
    BEAT.min(timing.lease_ttl / 4)
        .min(timing.takeover.window * 2 / 3)
}

/// The same while nothing happens.
fn quiet_beat(timing: &Timing) -> Duration {
    QUIET_BEAT.min(timing.lease_ttl / 4)
}

/// How long to sleep where the next thing is due after `left`, if anything is.
fn rest(beat: Duration, left: Option<Duration>) -> Duration {
    // Early by a moment is worse than late by one: it takes another look.
    let least = Duration::from_millis(1).min(beat);
    left.unwrap_or(beat).clamp(least, beat)
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_leader_sleeps_until_the_next_due_time_and_one_beat_at_most() {
        let beat = beat(&Timing::default());
        assert_eq!(rest(beat, Some(MS(120))), MS(120));
        assert_eq!(rest(beat, Some(MS(3_600_000))), beat);
        assert_eq!(rest(beat, None), beat);
        assert_eq!(rest(beat, Some(Duration::ZERO)), MS(1));
    }

    #[test]
    fn no_sleep_looks_like_a_standstill_or_outlives_the_lease() {
        let mut timing = Timing::default();
        assert!(beat(&timing) + MS(200) < timing.takeover.window);
        timing.takeover.window = MS(90);
        assert_eq!(beat(&timing), MS(60));
        assert_eq!(quiet_beat(&timing), MS(1250));
        timing.lease_ttl = MS(100);
        assert_eq!((beat(&timing), quiet_beat(&timing)), (MS(25), MS(25)));
    }
}
