//! Changes to jobs: what putting, pausing, resuming and removing do to the schedule.
//!
//! Pure functions from (the job as stored, now) to a [`Change`] that the store writes if the job
//! still is as it was read. The rules, so that a change never fires twice and never loses a fire:
//!
//! - A fire time that is due at the moment of the change belongs to the job: it keeps its due time,
//!   and after it the new schedule begins where it says: at its first own fire time after that.
//! - No due time is ever set at or before a fire time that has been settled.
//! - A pause remembers where it began; resuming or removing records what passed meanwhile. One with an
//!   end is over at that instant, however late somebody comes to write it down: fire times from then on
//!   are the job's again, and may be due.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// They do.
    Active,
    /// They do not, from this fire time on (none where the schedule was over already).
    Paused {
        /// The fire time that was next when the pause began.
        from: Option<Timestamp>,
        /// Who paused it, why, and until when.
        pause: Pause,
    },
}

/// What is known of a pause besides where it began. All of it may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// When it was begun.
    pub since: Option<Timestamp>,
    /// When it ends by itself: fire times from then on become runs again. Defaults to never.
    pub until: Option<Timestamp>,
    /// Who began it.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Pause {
    /// Who and why, as history tells it of the fire times that passed.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        match (&self.by, &self.reason) {
            (Some(by), Some(reason)) => Some(format!("by {by}: {reason}")),
            (Some(by), None) => Some(format!("by {by}")),
            (None, reason) => reason.clone(),
        }
    }

    /// Whether it says the same, whenever it was begun.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.until, &self.by, &self.reason) == (other.until, &other.by, &other.reason)
    }
}

impl JobState {
    /// Whether the job is paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        matches!(self, Self::Paused { .. })
    }

    /// Paused from this fire time on, and nothing more is known of it.
    #[must_use]
    pub fn paused(from: Option<Timestamp>) -> Self {
        let pause = Pause::default();
        Self::Paused { from, pause }
    }

    /// The pause, if the job is paused.
    #[must_use]
    pub const fn pause(&self) -> Option<&Pause> {
        match self {
            Self::Active => None,
            Self::Paused { pause, .. } => Some(pause),
        }
    }
}

/// How a stored job stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It has fire times to come, and they become runs.
    Active,
    /// It is paused.
    Paused,
    /// It was set aside: its leader could not read it.
    Parked,
    /// Its schedule is over.
    Finished,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Parked, Self::Finished];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Parked => "parked",
            Self::Finished => "finished",
        }
    }
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
    /// definition. While paused it is the end of the pause, at which it could not be brought back.
    pub parked: Option<Timestamp>,
    /// The highest fire time that has been settled.
    pub fired: Option<Timestamp>,
    /// How many of its runs are in flight.
    pub in_flight: usize,
}

impl StoredJob {
    /// How the job stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        match (&self.state, self.parked, self.next_fire) {
            (JobState::Paused { .. }, ..) => Standing::Paused,
            (JobState::Active, Some(_), _) => Standing::Parked,
            (JobState::Active, None, Some(_)) => Standing::Active,
            // It has no schedule, or that is over: it follows another job.
            (JobState::Active, None, None) if self.job.after().is_some() => Standing::Active,
            (JobState::Active, None, None) => Standing::Finished,
        }
    }
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
    /// What history tells of these besides: who paused the job, and why.
    pub detail: Option<String>,
}

/// What removing a job leaves to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Fire times that the removal settles.
    pub skips: Vec<Skip>,
    /// The first one that it does not settle: it must not have come to be due when the removal is done.
    pub next: Option<Timestamp>,
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
    fn active(job: Job, next_fire: Option<Timestamp>) -> Self {
        Self {
            job,
            state: JobState::Active,
            next_fire,
            skips: Vec::new(),
            detail: None,
        }
    }

    /// The same, with the job paused: what would be next begins the pause. A pause that there is
    /// already stays.
    #[must_use]
    pub fn paused(self, pause: Pause) -> Self {
        match self.state {
            JobState::Paused { .. } => self,
            JobState::Active => Self {
                state: JobState::Paused {
                    from: self.next_fire,
                    pause,
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
    let next_fire = first_unsettled(&job, fired, now);
    if next_fire.is_none() && job.after().is_none() {
        let after = fired.unwrap_or(now);
        return Err(ChangeError::NeverFires { after });
    }
    Ok(Change::active(job, next_fire))
}

/// A job as it stood somewhere, to be brought back.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The definition.
    pub job: Job,
    /// Whether it was paused.
    pub state: JobState,
    /// When it was to run next; of a paused job, the fire time that began the pause. None where its
    /// schedule was over.
    pub next_fire: Option<Timestamp>,
    /// Whether its schedule begins anew, because it stood still where it was: it was parked.
    pub begins_anew: bool,
}

/// A job that is brought back as it stood, where none is stored or in place of that one. What was to
/// come still is to come, late if need be; but nothing that has been settled here comes again, and
/// nothing that is due here is lost.
///
/// # Errors
///
/// Refused where its schedule is over and nothing says that the job is to be kept.
pub fn restore(
    saved: Saved,
    stored: Option<&StoredJob>,
    fired: Option<Timestamp>,
    now: Timestamp,
) -> Result<Change, ChangeError> {
    let Saved {
        job,
        state,
        next_fire,
        begins_anew,
    } = saved;
    // What passed in a pause is recorded, as with any other end of it.
    let here = stored.map(|stored| match stored.state {
        JobState::Active => Change::active(job.clone(), stored.next_fire),
        JobState::Paused { .. } => resumed(stored, now),
    });
    let here = here.unwrap_or_else(|| Change::active(job.clone(), None));
    let settled = here.skips.last().map(|skip| skip.last).max(fired);
    let is_open = |at: &Timestamp| settled.is_none_or(|settled| *at > settled);
    let due_here = here.next_fire.filter(|due| *due <= now);
    let next = match (due_here, next_fire) {
        (Some(due), _) => Some(due),
        (None, Some(next)) if is_open(&next) => Some(next),
        (None, None) if !begins_anew => None,
        (None, _) => first_unsettled(&job, settled, now),
    };
    if next.is_none() && !job.policy().keep && !state.is_paused() {
        let after = settled.unwrap_or(now);
        return Err(ChangeError::NeverFires { after });
    }
    let change = Change {
        job,
        next_fire: next,
        ..here
    };
    Ok(match state {
        JobState::Active => change,
        JobState::Paused { pause, .. } => change.paused(pause),
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
    let pending = (&stored.state, stored.next_fire);
    in_place_of(pending, keeps_schedule, job, stored.fired, now)
}

/// A changed job whose schedule begins anew, whether its trigger is another one or not. It stays
/// paused if it is.
///
/// # Errors
///
/// A new schedule without any fire time left is refused.
pub fn reschedule(stored: &StoredJob, job: Job, now: Timestamp) -> Result<Change, ChangeError> {
    let pending = (&stored.state, stored.next_fire);
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
    let back = match stored.state {
        JobState::Active => Change::active(stored.job.clone(), stored.next_fire),
        JobState::Paused { .. } => resumed(stored, now),
    };
    if let Some(due) = back.next_fire.filter(|due| *due <= now && *due != at) {
        return Err(ChangeError::Due { due });
    }
    let settled = back.skips.last().map(|skip| skip.last).max(stored.fired);
    if let Some(fired) = settled.filter(|fired| at <= *fired) {
        return Err(ChangeError::Settled { at, fired });
    }
    Ok(Change {
        job,
        next_fire: Some(at),
        ..back
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
    in_place_of((&stored.state, stored.next_fire), false, job, fired, now)
}

fn in_place_of(
    (state, next_fire): (&JobState, Option<Timestamp>),
    keeps_schedule: bool,
    job: Job,
    fired: Option<Timestamp>,
    now: Timestamp,
) -> Result<Change, ChangeError> {
    let reschedule = |job: &Job, due: Option<Timestamp>| match due {
        Some(_) if keeps_schedule => Ok(due),
        Some(due) if due <= now => Ok(Some(due)),
        None if keeps_schedule => Ok(None),
        _ => match first_unsettled(job, fired, now) {
            None if job.after().is_none() => Err(ChangeError::NeverFires {
                after: fired.unwrap_or(now),
            }),
            next => Ok(next),
        },
    };
    match state {
        JobState::Active => {
            let next_fire = reschedule(&job, next_fire)?;
            Ok(Change::active(job, next_fire))
        }
        JobState::Paused { from, pause } => {
            let from = reschedule(&job, *from)?;
            Ok(Change::active(job, from).paused(pause.clone()))
        }
    }
}

/// A pause without a word; none where the job is paused already. See [`pause_with`].
#[must_use]
pub fn pause(stored: &StoredJob) -> Option<Change> {
    let is_paused = stored.state.is_paused();
    (!is_paused).then(|| paused(stored, Pause::default()))
}

/// The pause of a job; none where it is paused just so already. Of one that is paused otherwise,
/// only who, why and until when change; a pause that says nothing changes nothing.
///
/// A fire time that was due before the pause is kept, too: it counts as paused, and is recorded so
/// when the job comes back.
#[must_use]
pub fn pause_with(stored: &StoredJob, pause: Pause, now: Timestamp) -> Option<Change> {
    match &stored.state {
        JobState::Active => Some(paused(stored, pause)),
        JobState::Paused { pause: there, .. }
            if pause.says_the_same(there) || pause.says_the_same(&Pause::default()) =>
        {
            None
        }
        JobState::Paused { from, pause: there } => Some(match end_pause(stored, now) {
            // It was over: this is another one.
            Some(back) => back.paused(pause),
            None => Change::active(stored.job.clone(), *from).paused(Pause {
                since: there.since,
                ..pause
            }),
        }),
    }
}

/// An active job as it is when it is paused.
fn paused(stored: &StoredJob, pause: Pause) -> Change {
    let next = match stored.parked {
        Some(parked) => stored.job.following(parked),
        None => stored.next_fire,
    };
    Change::active(stored.job.clone(), next).paused(pause)
}

/// The end of a pause, or of being parked; none where the job is neither.
///
/// What passed in a pause is recorded as skipped, and the schedule goes on as if it had never been
/// paused: an interval keeps its grid. A pause that had an end which has come counts as ended then,
/// whoever comes to it when.
#[must_use]
pub fn resume(stored: &StoredJob, now: Timestamp) -> Option<Change> {
    match (&stored.state, stored.parked) {
        (JobState::Active, None) => None,
        (JobState::Active, Some(_)) => {
            let next = first_unsettled(&stored.job, stored.fired, now);
            Some(Change::active(stored.job.clone(), next))
        }
        (JobState::Paused { .. }, _) => Some(resumed(stored, now)),
    }
}

/// The end of a pause whose end has come; none where the job is not paused, or for longer.
#[must_use]
pub fn end_pause(stored: &StoredJob, now: Timestamp) -> Option<Change> {
    let until = stored.state.pause()?.until?;
    (until <= now).then(|| resumed(stored, now))
}

/// A job as it is when its pause has ended.
fn resumed(stored: &StoredJob, now: Timestamp) -> Change {
    let JobState::Paused { from, pause } = &stored.state else {
        return Change::active(stored.job.clone(), stored.next_fire);
    };
    let (skips, next) = match from {
        Some(from) => skip_until(
            &stored.job,
            *from,
            last_paused(pause, now),
            SkipReason::Paused,
        ),
        None => (Vec::new(), None),
    };
    Change {
        skips,
        detail: pause.words(),
        ..Change::active(stored.job.clone(), next)
    }
}

/// The last instant that a pause covers: now, or the one before its end.
fn last_paused(pause: &Pause, now: Timestamp) -> Timestamp {
    let end = pause.until.filter(|until| *until <= now);
    end.map_or(now, |until| Timestamp::from_ms(until.as_ms() - 1))
}

/// What removing a job leaves to be recorded: fire times that passed while it was paused, or that
/// were due and not yet dispatched.
#[must_use]
pub fn remove(stored: &StoredJob, now: Timestamp) -> Removal {
    let Change {
        mut skips,
        next_fire,
        ..
    } = resumed(stored, now);
    let mut next = None;
    if let Some(due) = next_fire {
        let (removed, following) = skip_until(&stored.job, due, now, SkipReason::Removed);
        skips.extend(removed);
        next = following;
    }
    Removal { skips, next }
}

/// What removing a job that cannot be read leaves to be recorded: the one fire time that is known.
#[must_use]
pub fn remove_unreadable(stored: &UnreadableJob, now: Timestamp) -> Option<Skip> {
    let (pending, reason) = match stored.state {
        JobState::Active => (stored.next_fire, SkipReason::Removed),
        JobState::Paused { from, .. } => (from, SkipReason::Paused),
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
