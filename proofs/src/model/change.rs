//! What a client decides, from what it has read.

use super::checks::{Check, Checks};
use super::plan::highest;
use super::state::{State, Tick};
use super::store::{Change, Job, Kind};

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The job, due every so many ticks, whether it is there or not.
    Put(u8),
    /// No fires until it is resumed.
    Pause,
    /// Fires again.
    Resume,
    /// No such job.
    Remove,
    /// A run now.
    Run,
}

impl Wish {
    pub(super) const CHANGES: [Self; 5] = [
        Self::Put(1),
        Self::Put(2),
        Self::Pause,
        Self::Resume,
        Self::Remove,
    ];
}

/// The change that a client decides on, if the wish makes sense for the job as it is.
pub(super) fn decide(
    state: &State,
    at: u8,
    wish: Wish,
    request: u8,
    checks: Checks,
) -> Option<Change> {
    let store = &state.store;
    let mut job = *store.job(at);
    // Off: nobody keeps it.
    job.fired = job.fired.filter(|_| checks.on(Check::Fired));
    let job = &job;
    let exists = job.exists();
    let kind = match wish {
        Wish::Put(rule) if !exists => Kind::Put {
            rule,
            paused: false,
            next: Some(first_unsettled(job, rule, store.now, store.ticks)?),
            paused_from: None,
            skips: 0,
        },
        Wish::Put(rule) if rule == job.rule => return None,
        Wish::Put(rule) => replace(job, rule, store.now, store.ticks)?,
        Wish::Pause if exists && !job.paused => Kind::Put {
            rule: job.rule,
            paused: true,
            next: None,
            paused_from: job.due,
            skips: 0,
        },
        Wish::Resume if exists && job.paused => {
            let skips = pending(job, store.now, store.ticks);
            let next = match job.paused_from {
                Some(from) if from > store.now => Some(from),
                Some(_) => job.rule().following(store.now, store.ticks),
                None => None,
            };
            Kind::Put {
                rule: job.rule,
                paused: false,
                next,
                paused_from: None,
                skips,
            }
        }
        Wish::Remove if exists => {
            let skips = pending(job, store.now, store.ticks);
            let next = match skips {
                0 => job.pending(),
                skips => job.rule().following(highest(skips), store.ticks),
            };
            let due = job.due;
            Kind::Remove { due, skips, next }
        }
        Wish::Run if exists => {
            let number = super::state::Run::WISH + request;
            Kind::RunNow {
                run: super::state::Run { job: at, number },
            }
        }
        Wish::Pause | Wish::Resume | Wish::Remove | Wish::Run => return None,
    };
    Some(Change {
        request,
        job: at,
        version: job.version,
        definition: job.definition,
        kind,
    })
}

/// A new schedule in place of the old one: what is due stays due.
fn replace(job: &Job, rule: u8, now: Tick, last: Tick) -> Option<Kind> {
    let reschedule = |due: Option<Tick>| match due {
        Some(due) if due <= now => Some(due),
        _ => first_unsettled(job, rule, now, last),
    };
    let (next, paused_from) = if job.paused {
        (None, Some(reschedule(job.paused_from)?))
    } else {
        (Some(reschedule(job.due)?), None)
    };
    Some(Kind::Put {
        rule,
        paused: job.paused,
        next,
        paused_from,
        skips: 0,
    })
}

/// The first fire time of a schedule that begins now, past what has been settled.
fn first_unsettled(job: &Job, rule: u8, now: Tick, last: Tick) -> Option<Tick> {
    let rule = super::plan::Rule(rule);
    let first = rule.first(now, last)?;
    match job.fired {
        Some(fired) if first <= fired => rule.following(fired, last),
        _ => Some(first),
    }
}

/// What is due and not settled, one bit for each fire time.
fn pending(job: &Job, now: Tick, last: Tick) -> u16 {
    job.pending_until(now, last)
        .fold(0, |fires, fire| fires | 1 << fire)
}
