//! A trigger, ready to be asked for its fire times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::TriggerError;
use super::exclude::Exclusions;
use super::leaps::Leaps;
use super::moment::read_moment;
use super::rule::{Rule, just_after};
use super::spec::TriggerSpec;
use crate::time::Timestamp;

/// A rule that yields fire times.
///
/// Made by [`TriggerSpec::resolve`]. Holds no state and knows no clock: asked the same, it always
/// answers the same. Cheap to clone. Stored as its spec, with the time zone spelled out; read back
/// without a zone, it means UTC.
///
/// No question hangs. A cron trigger looks at 8,030 years at most, by a table. `and` and exclusions
/// may look at 50,000 fire times of their parts: where none of them will do, the schedule counts as
/// over.
///
/// ```
/// use scheduler_core::trigger::TriggerSpec;
///
/// let trigger = TriggerSpec::from_text("30 5 * * mon-fri")?.resolve(chrono_tz::Asia::Shanghai)?;
/// let first = trigger.first("2026-01-01T00:00:00Z".parse()?).unwrap();
/// assert_eq!(first.to_string(), "2026-01-01T21:30:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Trigger(Arc<Resolved>);

struct Resolved {
    rule: Rule,
    tz: Tz,
    jitter: Option<Duration>,
    exclude: Exclusions,
    /// As typed, and with the zone that was settled.
    spec: TriggerSpec,
}

/// A stretch of a schedule, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How many fire times lie in the stretch.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
    /// The fire time that follows `last`, if any.
    pub next: Option<Timestamp>,
}

impl Trigger {
    pub(crate) fn new(
        rule: Rule,
        tz: Tz,
        jitter: Option<Duration>,
        exclude: Exclusions,
        spec: TriggerSpec,
    ) -> Self {
        Self(Arc::new(Resolved {
            rule,
            tz,
            jitter,
            exclude,
            spec,
        }))
    }

    /// The first fire time of a schedule that begins at `now`.
    ///
    /// A `date` gives its date and a `calendar_interval` its start date, even if that is past (the
    /// job's grace time judges it); an `interval` its start date or the first multiple after it, or
    /// without one `now` and its length; the others their first time at or after `now`.
    #[must_use]
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        let leaps = &mut Leaps::new();
        self.admitted(self.0.rule.first(now, leaps)?, leaps)
    }

    /// The fire time that follows `previous`: strictly after it, or none any more.
    ///
    /// `previous` is taken for a fire time of the schedule, whatever the rule says: an interval goes
    /// on from it, a `date` is over, and a start date is history.
    #[must_use]
    pub fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        let leaps = &mut Leaps::new();
        self.admitted(self.0.rule.next_after(previous, leaps)?, leaps)
    }

    /// The first fire time after `at`, which may be the fire time of a schedule that this one
    /// replaced: then a `run_date` or start date after it is still to come, and the grid is the
    /// start date's. (Without a start date, an interval goes on from `at`.)
    #[must_use]
    pub fn following(&self, at: Timestamp) -> Option<Timestamp> {
        let leaps = &mut Leaps::new();
        self.admitted(self.0.rule.following(at, leaps)?, leaps)
    }

    /// The first fire time at or after `from`, of all that the rule means: to look at a stretch of
    /// time without a schedule that began somewhere.
    ///
    /// An `interval` without a start date counts from the epoch, a `calendar_interval` without one
    /// from 1970-01-01.
    #[must_use]
    pub fn at_or_after(&self, from: Timestamp) -> Option<Timestamp> {
        self.searched(from, &mut Leaps::new())
    }

    /// [`Self::at_or_after`], as one step of a search.
    pub(crate) fn searched(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        self.admitted(self.0.rule.at_or_after(from, leaps)?, leaps)
    }

    /// `at`, or the first fire time after it that is not excluded.
    fn admitted(&self, mut at: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        while let Some(until) = self.0.exclude.until(at) {
            leaps.take()?;
            at = self.0.rule.resumed(at, until.max(just_after(at)), leaps)?;
        }
        Some(at)
    }

    /// Counts the fire times from `first` (itself one of them, or of a schedule that this one
    /// replaced) to `until`, inclusive: at most `limit`, and at least `first`.
    ///
    /// Intervals are counted by arithmetic, others walked.
    #[must_use]
    pub fn stretch(&self, first: Timestamp, until: Timestamp, limit: u64) -> Stretch {
        if let Rule::Interval(interval) = &self.0.rule
            && self.0.exclude.is_empty()
        {
            if !interval.has(first) {
                return self.stretch_onto_grid(first, until, limit);
            }
            let most = i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX);
            let steps = interval.count_after(first, until).min(most);
            let reached = if steps == 0 {
                None
            } else {
                interval.nth_after(first, steps)
            };
            let last = reached.unwrap_or(first);
            let count = u64::try_from(steps).unwrap_or(0) + 1;
            return Stretch {
                count,
                last,
                next: self.next_after(last),
            };
        }
        let mut stretch = Stretch {
            count: 1,
            last: first,
            next: self.following(first),
        };
        while let Some(next) = stretch.next {
            if next > until || stretch.count >= limit {
                break;
            }
            stretch = Stretch {
                count: stretch.count + 1,
                last: next,
                next: self.next_after(next),
            };
        }
        stretch
    }

    /// A stretch of an interval that begins off its grid.
    fn stretch_onto_grid(&self, first: Timestamp, until: Timestamp, limit: u64) -> Stretch {
        let next = self.following(first);
        match next.filter(|next| *next <= until && limit > 1) {
            Some(next) => {
                let rest = self.stretch(next, until, limit - 1);
                Stretch {
                    count: rest.count + 1,
                    ..rest
                }
            }
            None => Stretch {
                count: 1,
                last: first,
                next,
            },
        }
    }

    /// The zone in which the trigger reads and shows times.
    #[must_use]
    pub fn timezone(&self) -> Tz {
        self.0.tz
    }

    /// The instant that a text means to this trigger, as its own dates do: one without an offset is
    /// in its zone. `field` is what messages call the text.
    ///
    /// # Errors
    ///
    /// What is no date, by field and character.
    pub fn moment(&self, field: &str, text: &str) -> Result<Timestamp, TriggerError> {
        read_moment(field, text, self.0.tz)
    }

    /// The longest delay that may be added to a run.
    #[must_use]
    pub fn jitter(&self) -> Option<Duration> {
        self.0.jitter
    }

    /// When the run of the fire time `nominal` starts, if `draw` (from 0 to 1) was drawn for it.
    ///
    /// The schedule itself goes on from `nominal`, so that jitter neither adds up nor swallows fire
    /// times. Never after the trigger's end date.
    #[must_use]
    pub fn jittered(&self, nominal: Timestamp, draw: f64) -> Timestamp {
        let delay = self
            .0
            .jitter
            .unwrap_or_default()
            .mul_f64(draw.clamp(0.0, 1.0));
        let end = self.0.rule.end().unwrap_or(Timestamp::MAX);
        nominal.after(delay).min(end).max(nominal)
    }

    /// The step, in milliseconds, and the end of an interval whose grid is no start date's, but goes
    /// through whichever fire time it has.
    pub(crate) fn free_grid(&self) -> Option<(i64, Timestamp)> {
        match (&self.0.rule, &self.0.spec) {
            (Rule::Interval(interval), TriggerSpec::Interval(spec))
                if spec.start_date.is_none() =>
            {
                let end = interval.end().unwrap_or(Timestamp::MAX);
                Some(((interval.every_us() / 1000).max(1), end))
            }
            _ => None,
        }
    }

    /// The trigger as typed, with its zone spelled out.
    #[must_use]
    pub fn spec(&self) -> &TriggerSpec {
        &self.0.spec
    }

    pub(crate) fn rule(&self) -> &Rule {
        &self.0.rule
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.spec, f)
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trigger").field(&self.0.spec).finish()
    }
}

impl PartialEq for Trigger {
    fn eq(&self, other: &Self) -> bool {
        self.0.spec == other.0.spec
    }
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.spec.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        TriggerSpec::deserialize(from)?
            .resolve(Tz::UTC)
            .map_err(serde::de::Error::custom)
    }
}
