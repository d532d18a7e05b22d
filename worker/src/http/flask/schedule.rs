//! What requests of this API mean for the schedule of a stored job.
//!
//! APScheduler's rules, within those that Carillon never breaks: a fire time that is due stays due,
//! and nothing that was settled is settled again.

use scheduler_core::change::{self, Change, Pause};
use scheduler_core::plan::Skip;
use scheduler_core::store::JobWrite;
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, JobState, StoredJob, Timestamp};

use super::refusal::Refusal;

/// When a job shall run next, where somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When its trigger says.
    AsTriggered,
    /// Not at all: it is paused.
    Paused,
    /// At this instant.
    At(Timestamp),
}

/// What is to be written of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// This.
    Write(Box<Change>),
    /// Nothing: it is so already, or nothing is to come of it.
    Nothing,
}

/// A job that is put where there is none, or none that the original would still have.
pub(super) fn add(job: Job, read: &JobWrite, next: Next) -> Result<Plan, Refusal> {
    // What is left of an earlier one of this id has nothing that is due.
    let stored = read.stored.as_ref().and_then(|stored| stored.fired);
    let settled = stored.max(read.fired);
    let first = first_unsettled(&job, settled, read.now);
    if first.is_none()
        && matches!(job.trigger().spec(), TriggerSpec::Date(_))
        && next == Next::AsTriggered
        && settled.is_some()
    {
        // A job of this id has had this very fire time: it was a run, or was recorded as missed.
        return Ok(Plan::Nothing);
    }
    let change = active_or_over(job, first, Vec::new());
    at(change, next, settled, read.now).map(|change| Plan::Write(Box::new(change)))
}

/// A job that takes the place of one that is there: its schedule begins anew, and a pause ends.
pub(super) fn replace(
    job: Job,
    stored: &StoredJob,
    now: Timestamp,
    next: Next,
) -> Result<Change, Refusal> {
    let change = reschedule(job, stored, now);
    set_next(change, stored, now, next)
}

/// A job with another trigger, whose schedule begins anew with that. A pause ends.
pub(super) fn reschedule(job: Job, stored: &StoredJob, now: Timestamp) -> Change {
    let skips = passed(stored, now);
    let settled = skips.last().map(|skip| skip.last).max(stored.fired);
    let next = match stored.next_fire {
        // It belongs to the job, whatever its trigger has become.
        Some(due) if due <= now => Some(due),
        _ => first_unsettled(&job, settled, now),
    };
    active_or_over(job, next, skips)
}

/// A job with other attributes, on the schedule that it has.
pub(super) fn modify(job: Job, stored: &StoredJob, now: Timestamp) -> Change {
    if stored.parked.is_some() {
        return reschedule(job, stored, now);
    }
    Change {
        job,
        state: stored.state.clone(),
        next_fire: stored.next_fire,
        skips: Vec::new(),
        detail: None,
    }
}

/// `change`, with the next run time that somebody set.
pub(super) fn set_next(
    mut change: Change,
    stored: &StoredJob,
    now: Timestamp,
    next: Next,
) -> Result<Change, Refusal> {
    if matches!(next, Next::At(_)) && change.skips.is_empty() {
        change.skips = passed(stored, now);
    }
    let settled = change.skips.last().map(|skip| skip.last);
    at(change, next, settled.max(stored.fired), now)
}

/// A job that goes on; none where its schedule is over.
pub(super) fn resume(stored: &StoredJob, now: Timestamp) -> Option<Change> {
    let job = &stored.job;
    if let (
        TriggerSpec::Date(_),
        JobState::Paused {
            from: Some(from), ..
        },
    ) = (job.trigger().spec(), &stored.state)
    {
        // Even if it is past: whether that is too late is for the job's grace to say.
        return Some(active_or_over(job.clone(), Some(*from), Vec::new()));
    }
    let change = reschedule(job.clone(), stored, now);
    (change.state == JobState::Active).then_some(change)
}

/// Fire times that passed in a pause, to be recorded.
fn passed(stored: &StoredJob, now: Timestamp) -> Vec<Skip> {
    match &stored.state {
        JobState::Active => Vec::new(),
        JobState::Paused { .. } => {
            change::resume(stored, now).map_or_else(Vec::new, |change| change.skips)
        }
    }
}

/// A schedule that is over is stored as if it were paused, as the original does.
fn active_or_over(job: Job, next_fire: Option<Timestamp>, skips: Vec<Skip>) -> Change {
    let state = match next_fire {
        Some(_) => JobState::Active,
        None => JobState::paused(None),
    };
    Change {
        job,
        state,
        next_fire,
        skips,
        detail: None,
    }
}

/// The change with this next run time, if that can be.
fn at(
    change: Change,
    next: Next,
    settled: Option<Timestamp>,
    now: Timestamp,
) -> Result<Change, Refusal> {
    match next {
        Next::AsTriggered => Ok(change),
        Next::Paused => Ok(change.paused(Pause::default())),
        Next::At(wanted) => {
            if let Some(due) = change.next_fire.filter(|due| *due <= now && *due != wanted) {
                return Err(Refusal::conflict(format!(
                    "next_run_time: the run of {due} is due and has not begun yet"
                )));
            }
            if let Some(settled) = settled.filter(|settled| wanted <= *settled) {
                return Err(Refusal::invalid(format!(
                    "next_run_time: {wanted} is not later than {settled}, which has had its run"
                )));
            }
            Ok(Change {
                state: JobState::Active,
                next_fire: Some(wanted),
                ..change
            })
        }
    }
}

/// The first fire time of a schedule that begins now, past what was settled.
fn first_unsettled(job: &Job, settled: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let first = job.trigger().first(now)?;
    match settled {
        Some(settled) if first <= settled => job.trigger().following(settled),
        _ => Some(first),
    }
}
