//! The ledger: what became of a fire time, or why nothing did.
//!
//! History tells what was done; the job as it stands tells what it means that nothing was. From
//! both, [`fate`] decides what to answer to "why did it not run at 03:00?". Pure: the facts are
//! gathered elsewhere.

use crate::change::{JobState, StoredJob};
use crate::history::{Record, RunRecord, SkipRecord};
use crate::id::Cause;
use crate::job::Job;
use crate::run::Outcome;
use crate::store::{HistoryEntry, RunInFlight, RunPlace};
use crate::time::Timestamp;
use crate::trigger::{Trigger, TriggerSpec};

/// What is known of a job.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The job as stored, if it is and can be read.
    pub stored: Option<StoredJob>,
    /// Why it cannot be read, if it is stored and cannot.
    pub unreadable: Option<String>,
    /// The highest fire time that has been settled, also of a job that was removed.
    pub fired: Option<Timestamp>,
    /// What history says of the job, in any order.
    pub records: Vec<HistoryEntry>,
    /// From when on history tells all that became of the job; none where history is empty.
    pub history_from: Option<Timestamp>,
    /// Its runs in flight.
    pub in_flight: Vec<RunInFlight>,
    /// The store's clock.
    pub now: Timestamp,
}

/// What became of a fire time.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It became a run, which has ended. The attempts, the first first; the last one decided.
    Ran(Vec<RunRecord>),
    /// It became a run, which is in flight.
    InFlight {
        /// Attempts that have ended.
        attempts: Vec<RunRecord>,
        /// Where it is.
        place: RunPlace,
    },
    /// It was skipped.
    Skipped {
        /// What history says of it.
        skip: SkipRecord,
        /// When it was skipped.
        at: Timestamp,
        /// The run that went in its place, or was in its way, as far as it is known.
        because_of: Option<Box<RunRecord>>,
    },
    /// It is due, and no leader has come to it yet.
    Pending,
    /// The job is paused since before it: it will be recorded when the job comes back.
    Paused,
    /// The job was set aside before it: nobody could read its definition.
    Parked,
    /// It lies ahead.
    NotDueYet,
    /// The trigger, as it is today, does not yield it.
    NoFireTime {
        /// The fire time before.
        before: Option<Timestamp>,
        /// The fire time after.
        after: Option<Timestamp>,
        /// Whether the trigger would yield it if it were not for its exclusions.
        is_excluded: bool,
    },
    /// It may have been settled, and history does not say how: it goes back to this instant only.
    Forgotten(Option<Timestamp>),
    /// Nothing happened: the schedule that the job has today began after it.
    BeforeSchedule,
    /// The job's definition cannot be read, and history says nothing.
    Unreadable(String),
    /// There is no such job (any more), and history says nothing.
    NoJob,
}

/// What became of the fire time `at`.
#[must_use]
pub fn fate(facts: &Facts, at: Timestamp) -> Fate {
    if let Some(fate) = fate_of_run(facts, at) {
        return fate;
    }
    let yields = facts
        .stored
        .as_ref()
        .map(|stored| yields(&stored.job, anchor(stored), at));
    // A stretch of skipped fire times may lie around an instant that is none.
    let skip = facts.records.iter().find_map(|entry| match &entry.record {
        Record::Skip(skip) if entry.record.is_about(at) => Some((entry.at, skip)),
        _ => None,
    });
    if let Some((written, skip)) = skip
        && (skip.first == at || skip.last == at || yields != Some(false))
    {
        return Fate::Skipped {
            skip: skip.clone(),
            at: written,
            because_of: cause_of(facts, written, skip).map(Box::new),
        };
    }
    let Some(stored) = &facts.stored else {
        return fate_without_job(facts, at);
    };
    if yields == Some(false) {
        let (before, after) = neighbours(&stored.job, anchor(stored), at);
        return Fate::NoFireTime {
            before,
            after,
            is_excluded: is_excluded(stored.job.trigger(), at.before(stored.job.offset())),
        };
    }
    let is_in_pause = match &stored.state {
        JobState::Paused {
            from: Some(from),
            pause,
        } if *from <= at => Some(pause.until.is_none_or(|until| at < until)),
        _ => None,
    };
    match (is_in_pause, stored.parked, stored.next_fire) {
        (Some(true), ..) => Fate::Paused,
        // The pause is over, and nobody has come to it yet.
        (Some(false), ..) if at <= facts.now => Fate::Pending,
        (_, Some(parked), _) if parked < at => Fate::Parked,
        _ if at > facts.now => Fate::NotDueYet,
        (_, _, Some(next)) if next <= at => Fate::Pending,
        _ => settled(facts, at),
    }
}

fn fate_of_run(facts: &Facts, at: Timestamp) -> Option<Fate> {
    let cause = Cause::Fire(at);
    let mut attempts: Vec<(Timestamp, RunRecord)> = facts
        .records
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Run(run) if run.run.cause == cause => Some((entry.at, run.clone())),
            _ => None,
        })
        .collect();
    attempts.sort_by_key(|(written, run)| (run.attempt, run.fence, *written));
    let attempts: Vec<_> = attempts.into_iter().map(|(_, run)| run).collect();
    let in_flight = facts.in_flight.iter().find(|run| run.run.cause == cause);
    match in_flight {
        Some(run) => Some(Fate::InFlight {
            attempts,
            place: run.place.clone(),
        }),
        None if attempts.is_empty() => None,
        None => Some(Fate::Ran(attempts)),
    }
}

fn fate_without_job(facts: &Facts, at: Timestamp) -> Fate {
    if let Some(why) = &facts.unreadable {
        return Fate::Unreadable(why.clone());
    }
    match facts.fired {
        Some(fired) if at <= fired => settled(facts, at),
        _ => Fate::NoJob,
    }
}

/// A fire time of the past of which nothing is recorded.
fn settled(facts: &Facts, at: Timestamp) -> Fate {
    let is_settled = facts.fired.is_some_and(|fired| at <= fired);
    let goes_back = facts.history_from.is_some_and(|from| from <= at);
    if is_settled && !goes_back {
        Fate::Forgotten(facts.history_from)
    } else {
        Fate::BeforeSchedule
    }
}

/// Which run a skipped fire time was skipped for.
fn cause_of(facts: &Facts, written: Timestamp, skip: &SkipRecord) -> Option<RunRecord> {
    use crate::plan::SkipReason::{CatchUp, Coalesced, MaxInstances};
    let runs = facts
        .records
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Run(run) if run.outcome != Outcome::Retrying => Some(run),
            _ => None,
        });
    match skip.skipped {
        // The one that is next to it: it was due with it.
        Coalesced | CatchUp => runs
            .filter_map(|run| match run.run.cause {
                Cause::Fire(fire) if fire <= written => {
                    let away = if fire > skip.last {
                        fire.since(skip.last)
                    } else {
                        skip.first.since(fire)
                    };
                    Some((away, run))
                }
                _ => None,
            })
            .min_by_key(|(away, _)| *away)
            .map(|(_, run)| run.clone()),
        MaxInstances => runs
            .filter(|run| {
                run.started_at.is_some_and(|at| at <= written)
                    && run.ended_at.is_none_or(|at| at >= written)
            })
            .min_by_key(|run| run.started_at)
            .cloned(),
        _ => None,
    }
}

/// A fire time that the job's schedule is known to have: where an interval counts from.
fn anchor(stored: &StoredJob) -> Option<Timestamp> {
    let paused = match stored.state {
        JobState::Paused { from, .. } => from,
        JobState::Active => None,
    };
    stored.next_fire.or(paused).or(stored.fired)
}

/// Whether the job's trigger, as it is, yields this instant.
#[must_use]
pub fn yields(job: &Job, anchor: Option<Timestamp>, at: Timestamp) -> bool {
    let just_before = Timestamp::from_ms(at.as_ms() - 1);
    neighbours(job, anchor, just_before).1 == Some(at)
}

/// The fire times before and after an instant, as the trigger is; `anchor` is one of its fire times.
#[must_use]
pub fn neighbours(
    job: &Job,
    anchor: Option<Timestamp>,
    at: Timestamp,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let trigger = job.trigger();
    // The trigger's own times are earlier by the job's offset.
    let offset = job.offset();
    let at = at.before(offset);
    let (before, after) = match (anchor, trigger.free_grid()) {
        (Some(anchor), Some(grid)) => along_grid(trigger, anchor.before(offset), grid, at),
        _ => {
            let after = trigger.at_or_after(Timestamp::from_ms(at.as_ms() + 1));
            (before(trigger, at), after)
        }
    };
    let late = |time: Option<Timestamp>| time.map(|time| time.after(offset));
    (late(before), late(after))
}

/// The same for an interval whose grid goes through the anchor, in both directions. What is excluded,
/// or lies past the end, is no fire time.
fn along_grid(
    trigger: &Trigger,
    anchor: Timestamp,
    (step, end): (i64, Timestamp),
    at: Timestamp,
) -> (Option<Timestamp>, Option<Timestamp>) {
    const MOST: i64 = 10_000;
    let up_to = |at: Timestamp| {
        let steps = (at.as_ms() - anchor.as_ms()).div_euclid(step);
        anchor.as_ms() + steps * step
    };
    let on_grid = up_to(at);
    let just_before = Timestamp::from_ms(at.as_ms() - 1).min(end);
    let last = up_to(just_before);
    let before = (0..MOST)
        .map(|steps| Timestamp::from_ms(last - steps * step))
        .find(|fire| {
            let earlier = Timestamp::from_ms(fire.as_ms() - step);
            trigger.next_after(earlier) == Some(*fire)
        });
    (before, trigger.next_after(Timestamp::from_ms(on_grid)))
}

/// The last fire time before an instant, looked for further and further back: ten years at most.
fn before(trigger: &Trigger, at: Timestamp) -> Option<Timestamp> {
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 1_440 * MINUTE;
    let until = Timestamp::from_ms(at.as_ms() - 1);
    [MINUTE, 60 * MINUTE, DAY, 32 * DAY, 366 * DAY, 3_660 * DAY]
        .iter()
        .find_map(|window| {
            let first = trigger.at_or_after(Timestamp::from_ms(at.as_ms() - window))?;
            (first <= until).then(|| trigger.stretch(first, until, 10_000).last)
        })
}

/// Whether the trigger would yield an instant if it excluded nothing.
fn is_excluded(trigger: &Trigger, at: Timestamp) -> bool {
    let Ok(serde_json::Value::Object(mut spec)) = serde_json::to_value(trigger.spec()) else {
        return false;
    };
    if spec.remove("exclude").is_none() {
        return false;
    }
    let bare = TriggerSpec::from_value(spec.into())
        .ok()
        .and_then(|spec| spec.resolve(trigger.timezone()).ok());
    bare.is_some_and(|bare| bare.at_or_after(at) == Some(at))
}
