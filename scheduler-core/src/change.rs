//! Changes to jobs: what putting, pausing, resuming and removing do to the schedule.
//!
//! Pure functions from (the job as stored, now) to a [`Change`] that the store writes if the job
//! still is as it was read. The rules, so that a change never fires twice and never loses a fire:
//!
//! - A fire time that is due at the moment of the change belongs to the job: it keeps its due time,
//!   and after it the new schedule begins where it says: at its first own fire time after that.
//! - No due time is ever set at or before a fire time that has been settled.
//! - A pause remembers where it began; resuming or removing records what passed meanwhile.
//! - A parked job comes back with whatever change puts it on a schedule again: that begins anew, past
//!   what was settled.
//! - A next run time that somebody sets may lie anywhere past what was settled, but never drops a
//!   fire time that is due.
//! - Whether a job is paused is the operator's, not the definition's: putting a changed definition
//!   leaves it as it is.

use crate::id::Version;
use crate::job::Job;
use crate::plan::{Skip, SkipReason};
use crate::time::Timestamp;
use crate::trigger::TriggerSpec;

/// Whether a job's fire times become runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// They do.
    Active,
    /// They do not, from this fire time on (none where the schedule was over already).
    Paused {
        /// The fire time that was next when the pause began.
        from: Option<Timestamp>,
    },
}

/// A job as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// The definition.
    pub job: Job,
    /// The number of this definition.
    pub version: Version,
    /// Whether it is paused.
    pub state: JobState,
    /// When it is due next: none while paused or parked, and once its schedule is over.
    pub next_fire: Option<Timestamp>,
    /// The fire time at which it was parked: set aside, because its leader could not read the
    /// definition. Never while paused.
    pub parked: Option<Timestamp>,
    /// The highest fire time that has been settled.
    pub fired: Option<Timestamp>,
    /// How many of its runs are in flight.
    pub in_flight: usize,
}

/// A stored job whose definition this version cannot read, and what is known of it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableJob {
    /// The number of its definition.
    pub version: Version,
    /// Whether it is paused.
    pub state: JobState,
    /// When it is due next.
    pub next_fire: Option<Timestamp>,
    /// What is wrong with the definition, for people.
    pub why: String,
    /// Whether a newer version wrote it: then it is not damaged, and not this version's to replace.
    pub is_newer: bool,
}

/// What to write about a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The definition.
    pub job: Job,
    /// Whether it is paused.
    pub state: JobState,
    /// When it is due next.
    pub next_fire: Option<Timestamp>,
    /// Fire times that the change settles.
    pub skips: Vec<Skip>,
}

/// A change that would make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The trigger yields no fire time any more.
    #[error("trigger: yields no fire time after {after}: the schedule is over")]
    NeverFires {
        /// The last fire time that was settled, or now.
        after: Timestamp,
    },
    /// A fire time that is due would be lost.
    #[error(
        "next_run_time: the fire time {due} is due and has not been dispatched yet: it would be lost"
    )]
    Due {
        /// The fire time.
        due: Timestamp,
    },
    /// The fire time has been settled.
    #[error("next_run_time: {at} is not after {fired}, which was settled already")]
    Settled {
        /// The time that was asked for.
        at: Timestamp,
        /// The last fire time that was settled.
        fired: Timestamp,
    },
}

impl Change {
    /// The same, with the job paused: what would be next begins the pause.
    #[must_use]
    pub fn paused(self) -> Self {
        match self.state {
            JobState::Paused { .. } => self,
            JobState::Active => Self {
                state: JobState::Paused {
                    from: self.next_fire,
                },
                next_fire: None,
                ..self
            },
        }
    }
}

/// A job that is put where none is stored. `fired` is what an earlier job of the same id left.
///
/// # Errors
///
/// A schedule without any fire time left is refused: nothing would ever come of the job.
pub fn put_new(job: Job, fired: Option<Timestamp>, now: Timestamp) -> Result<Change, ChangeError> {
    let next_fire = first_unsettled(&job, fired, now).ok_or(ChangeError::NeverFires {
        after: fired.unwrap_or(now),
    })?;
    let next_fire = Some(next_fire);
    Ok(Change {
        job,
        state: JobState::Active,
        next_fire,
        skips: Vec::new(),
    })
}

/// Whether a schedule that begins at `now` has all its fire times at or before `past`.
#[must_use]
pub fn is_over_since(job: &Job, past: Timestamp, now: Timestamp) -> bool {
    let first = job.first(now);
    first.is_none_or(|first| first <= past && job.following(past).is_none())
}

/// A job that takes the place of a stored one.
///
/// # Errors
///
/// A new schedule without any fire time left is refused.
pub fn replace(stored: &StoredJob, job: Job, now: Timestamp) -> Result<Change, ChangeError> {
    let keeps_schedule = stored.parked.is_none()
        && stored.job.trigger() == job.trigger()
        && stored.job.offset() == job.offset();
    let pending = (stored.state, stored.next_fire);
    in_place_of(pending, keeps_schedule, job, stored.fired, now)
}

/// A changed job whose schedule begins anew, whether its trigger is another one or not. It stays
/// paused if it is.
///
/// # Errors
///
/// A new schedule without any fire time left is refused.
pub fn reschedule(stored: &StoredJob, job: Job, now: Timestamp) -> Result<Change, ChangeError> {
    let pending = (stored.state, stored.next_fire);
    in_place_of(pending, false, job, stored.fired, now)
}

/// A changed job that runs next at `at`, fire time of its trigger or not, and whose schedule goes on
/// from there. A paused or parked job comes back with it.
///
/// # Errors
///
/// Refused where another fire time is due, which would be lost, and where `at` is not after all that
/// has been settled.
pub fn run_next_at(
    stored: &StoredJob,
    job: Job,
    at: Timestamp,
    now: Timestamp,
) -> Result<Change, ChangeError> {
    let skips = match stored.state {
        JobState::Active => Vec::new(),
        JobState::Paused { .. } => resume(stored, now).map_or_else(Vec::new, |change| change.skips),
    };
    if let Some(due) = stored.next_fire.filter(|due| *due <= now && *due != at) {
        return Err(ChangeError::Due { due });
    }
    let settled = skips.last().map(|skip| skip.last).max(stored.fired);
    if let Some(fired) = settled.filter(|fired| at <= *fired) {
        return Err(ChangeError::Settled { at, fired });
    }
    Ok(Change {
        job,
        state: JobState::Active,
        next_fire: Some(at),
        skips,
    })
}

/// A job that takes the place of one that cannot be read; `fired` is what that one settled.
///
/// # Errors
///
/// A new schedule without any fire time left is refused.
pub fn replace_unreadable(
    stored: &UnreadableJob,
    job: Job,
    fired: Option<Timestamp>,
    now: Timestamp,
) -> Result<Change, ChangeError> {
    in_place_of((stored.state, stored.next_fire), false, job, fired, now)
}

fn in_place_of(
    (state, next_fire): (JobState, Option<Timestamp>),
    keeps_schedule: bool,
    job: Job,
    fired: Option<Timestamp>,
    now: Timestamp,
) -> Result<Change, ChangeError> {
    let reschedule = |job: &Job, due: Option<Timestamp>| match due {
        Some(_) if keeps_schedule => Ok(due),
        Some(due) if due <= now => Ok(Some(due)),
        None if keeps_schedule => Ok(None),
        _ => first_unsettled(job, fired, now)
            .map(Some)
            .ok_or(ChangeError::NeverFires {
                after: fired.unwrap_or(now),
            }),
    };
    match state {
        JobState::Active => {
            let next_fire = reschedule(&job, next_fire)?;
            Ok(Change {
                job,
                state: JobState::Active,
                next_fire,
                skips: Vec::new(),
            })
        }
        JobState::Paused { from } => {
            let from = reschedule(&job, from)?;
            Ok(Change {
                job,
                state: JobState::Paused { from },
                next_fire: None,
                skips: Vec::new(),
            })
        }
    }
}

/// The pause of a job; none where it is paused already.
///
/// A fire time that was due before the pause is kept, too: it counts as paused, and is recorded so
/// when the job comes back.
#[must_use]
pub fn pause(stored: &StoredJob) -> Option<Change> {
    match stored.state {
        JobState::Paused { .. } => None,
        JobState::Active => Some(Change {
            job: stored.job.clone(),
            state: JobState::Paused {
                from: match stored.parked {
                    Some(parked) => stored.job.following(parked),
                    None => stored.next_fire,
                },
            },
            next_fire: None,
            skips: Vec::new(),
        }),
    }
}

/// The end of a pause, or of being parked; none where the job is neither.
///
/// What passed in a pause is recorded as skipped, and the schedule goes on as if it had never been
/// paused: an interval keeps its grid.
#[must_use]
pub fn resume(stored: &StoredJob, now: Timestamp) -> Option<Change> {
    let (skips, next_fire) = match (stored.state, stored.parked) {
        (JobState::Active, None) => return None,
        (JobState::Active, Some(_)) => {
            let next = first_unsettled(&stored.job, stored.fired, now);
            (Vec::new(), next)
        }
        (JobState::Paused { from: Some(from) }, _) => {
            skip_until(&stored.job, from, now, SkipReason::Paused)
        }
        (JobState::Paused { from: None }, _) => (Vec::new(), None),
    };
    Some(Change {
        job: stored.job.clone(),
        state: JobState::Active,
        next_fire,
        skips,
    })
}

/// What removing a job leaves to be recorded: fire times that passed while it was paused, or that
/// were due and not yet dispatched.
#[must_use]
pub fn remove(stored: &StoredJob, now: Timestamp) -> Vec<Skip> {
    let (from, reason) = match stored.state {
        JobState::Active => (stored.next_fire, SkipReason::Removed),
        JobState::Paused { from } => (from, SkipReason::Paused),
    };
    from.map_or_else(Vec::new, |from| {
        skip_until(&stored.job, from, now, reason).0
    })
}

/// What removing a job that cannot be read leaves to be recorded: the one fire time that is known.
#[must_use]
pub fn remove_unreadable(stored: &UnreadableJob, now: Timestamp) -> Option<Skip> {
    let (pending, reason) = match stored.state {
        JobState::Active => (stored.next_fire, SkipReason::Removed),
        JobState::Paused { from } => (from, SkipReason::Paused),
    };
    pending.filter(|at| *at <= now).map(|at| Skip {
        first: at,
        last: at,
        count: 1,
        reason,
    })
}

/// The first fire time of a schedule that begins now, past what has been settled.
fn first_unsettled(job: &Job, fired: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let first = job.first(now)?;
    match fired {
        Some(fired) if first <= fired => job.following(fired),
        _ => Some(first),
    }
}

/// How many fire times a change walks over, one by one, before it stops counting.
const MAX_COUNTED: u64 = 1_000_000;

/// Skips the fire times from `from` to `now`; answers also with the one after.
///
/// Past [`MAX_COUNTED`] of them the count is a lower bound; the range is right all the same.
fn skip_until(
    job: &Job,
    from: Timestamp,
    now: Timestamp,
    reason: SkipReason,
) -> (Vec<Skip>, Option<Timestamp>) {
    if from > now {
        return (Vec::new(), Some(from));
    }
    // An interval goes on from its last fire time, wherever that lies: it must be found, and can be
    // by arithmetic. The others mean the same times wherever one begins to ask. (An interval with
    // exclusions has to be walked: past the count it begins a new grid, rather than hang.)
    let limit = match job.trigger().spec() {
        TriggerSpec::Interval(interval) if interval.exclude.is_empty() => u64::MAX,
        _ => MAX_COUNTED,
    };
    let stretch = job.stretch(from, now, limit);
    let (last, next) = match stretch.next {
        Some(next) if next <= now => (now, job.following(now)),
        next => (stretch.last, next),
    };
    let skip = Skip {
        first: from,
        last,
        count: stretch.count,
        reason,
    };
    (vec![skip], next)
}
