//! A trigger, ready to be asked for its fire times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cron::Cron;
use super::error::TriggerError;
use super::interval::Interval;
use super::moment::Moment;
use super::spec::TriggerSpec;
use super::zone::Zone;
use crate::time::Timestamp;

/// A rule that yields fire times.
///
/// Made by [`TriggerSpec::resolve`]. Holds no state and knows no clock: asked the same, it always
/// answers the same. Cheap to clone. Stored as its spec, with the time zone spelled out; read back
/// without a zone, it means UTC.
///
/// ```
/// use scheduler_core::Timestamp;
/// use scheduler_core::trigger::TriggerSpec;
///
/// let trigger = TriggerSpec::from_text(r#"{"type": "cron", "hour": 5, "minute": 30}"#)?
///     .resolve(chrono_tz::Asia::Shanghai)?;
/// let first = trigger.first("2026-01-01T00:00:00Z".parse()?).unwrap();
/// assert_eq!(first.to_string(), "2026-01-01T21:30:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Trigger(Arc<Resolved>);

struct Resolved {
    /// As typed, and with the zone that was settled.
    spec: TriggerSpec,
    rule: Rule,
    tz: Tz,
    jitter: Option<Duration>,
}

enum Rule {
    Date(Option<Timestamp>),
    Interval(Interval),
    Cron(Box<Cron>),
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

impl TriggerSpec {
    /// Checks the fields and settles the time zone (`default_timezone` where the spec names none).
    ///
    /// # Errors
    ///
    /// Names the field, the value and the rule that it breaks.
    pub fn resolve(&self, default_timezone: Tz) -> Result<Trigger, TriggerError> {
        let mut spec = self.clone();
        let timezone = match &mut spec {
            Self::Date(spec) => &mut spec.timezone,
            Self::Interval(spec) => &mut spec.timezone,
            Self::Cron(spec) => &mut spec.timezone,
        };
        let tz = timezone
            .as_deref()
            .map_or(Ok(default_timezone), Zone::parse_name)?;
        *timezone = Some(tz.name().to_owned());
        let zone = Zone::new(tz);
        let (rule, jitter) = match &spec {
            Self::Date(date) => {
                let run_date = date
                    .run_date
                    .as_ref()
                    .map(|text| Moment::parse("run_date", text));
                (
                    Rule::Date(run_date.transpose()?.map(|moment| moment.start(&zone))),
                    None,
                )
            }
            Self::Interval(spec) => (Rule::Interval(Interval::new(spec, &zone)?), spec.jitter),
            Self::Cron(spec) => (Rule::Cron(Box::new(Cron::new(spec, zone)?)), spec.jitter),
        };
        let jitter = jitter.map(|seconds| {
            crate::duration::from_seconds(seconds)
                .map_err(|message| TriggerError::new("jitter", message))
        });
        Ok(Trigger(Arc::new(Resolved {
            rule,
            tz,
            jitter: jitter.transpose()?,
            spec,
        })))
    }
}

impl Trigger {
    /// The first fire time of a schedule that begins at `now`.
    ///
    /// A `date` gives its date, even if that is past (the job's grace time judges it); an `interval`
    /// its start date or a multiple after it, or without one `now` and its length; the others their
    /// first time at or after `now`.
    #[must_use]
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.0.rule {
            Rule::Date(run_date) => Some(run_date.unwrap_or(now)),
            Rule::Interval(interval) => interval.first(now),
            Rule::Cron(cron) => cron.at_or_after(now),
        }
    }

    /// The fire time that follows `previous`, itself one: strictly after it, or none any more.
    #[must_use]
    pub fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        match &self.0.rule {
            Rule::Date(_) => None,
            Rule::Interval(interval) => interval.next_after(previous),
            Rule::Cron(cron) => cron.next_after(previous),
        }
    }

    /// Counts the fire times from `first` (itself one of them) to `until`, inclusive: at most
    /// `limit`, and at least `first`.
    ///
    /// Intervals are counted by arithmetic, others walked.
    #[must_use]
    pub fn stretch(&self, first: Timestamp, until: Timestamp, limit: u64) -> Stretch {
        if let Rule::Interval(interval) = &self.0.rule {
            let most = i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX);
            let steps = interval.count_after(first, until).min(most);
            let last = if steps == 0 {
                first
            } else {
                interval.nth_after(first, steps).unwrap_or(first)
            };
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
            next: self.next_after(first),
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

    /// The zone in which the trigger reads and shows times.
    #[must_use]
    pub fn timezone(&self) -> Tz {
        self.0.tz
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
        let end = match &self.0.rule {
            Rule::Date(_) => None,
            Rule::Interval(interval) => interval.end(),
            Rule::Cron(cron) => cron.end(),
        };
        nominal
            .after(delay)
            .min(end.unwrap_or(Timestamp::MAX))
            .max(nominal)
    }

    /// The trigger as typed, with its zone spelled out.
    #[must_use]
    pub fn spec(&self) -> &TriggerSpec {
        &self.0.spec
    }

    /// The trigger in words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{self}, {}", self.0.tz)
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
