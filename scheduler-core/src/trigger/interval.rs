//! Every so often, in exact elapsed time.
//!
//! A day is 24 hours here, also when the clock jumps. The length is kept to the microsecond, fire
//! times are whole milliseconds: with a start date, a third of a second fires three times in each
//! second, for ever; without one, the rest is lost at each step.

use super::error::TriggerError;
use super::moment::Moment;
use super::rule::just_after;
use super::spec::IntervalSpec;
use super::zone::Zone;
use crate::time::Timestamp;

const SECOND: f64 = 1_000_000.0;
/// Far longer than the time until the last fire time that can be told.
const LONGEST: i64 = 400_000_000_000_000_000;

/// An interval, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    every_us: i64,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Interval {
    pub(crate) fn new(spec: &IntervalSpec, zone: &Zone) -> Result<Self, TriggerError> {
        Ok(Self {
            every_us: length_us(spec)?,
            start: Moment::instant("start_date", spec.start_date.as_deref(), zone)?,
            end: Moment::instant("end_date", spec.end_date.as_deref(), zone)?,
        })
    }

    pub(crate) fn every_us(&self) -> i64 {
        self.every_us
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// The start date or the first multiple after it, if there is one, else `now` + length.
    pub(crate) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self.start {
            Some(_) => self.at_or_after(now),
            None => self.bounded(us(now) + self.every_us),
        }
    }

    /// `previous` + length: a schedule that was moved off its grid stays off it.
    pub(crate) fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        self.nth_after(previous, 1)
    }

    /// The next time after `at` of the grid that begins at the start date; without one, `at` +
    /// length.
    pub(crate) fn following(&self, at: Timestamp) -> Option<Timestamp> {
        match self.start {
            Some(_) => self.at_or_after(just_after(at)),
            None => self.next_after(at),
        }
    }

    /// Whether `at` is a time of the grid: without a start date, each may be one.
    pub(crate) fn has(&self, at: Timestamp) -> bool {
        self.start.is_none() || self.at_or_after(at) == Some(at)
    }

    /// The first time of the grid at or after `from`. The grid begins at the start date; without
    /// one, it has always been there, through the epoch.
    pub(crate) fn at_or_after(&self, from: Timestamp) -> Option<Timestamp> {
        if from > Timestamp::MAX {
            return None;
        }
        let start = us(self.start.unwrap_or(Timestamp::EPOCH));
        let from = us(from);
        if self.start.is_some() && from <= start {
            return self.bounded(start);
        }
        self.bounded(from + (start - from).rem_euclid(self.every_us))
    }

    /// The first time at or after `from` of the grid that `fire` is on.
    pub(crate) fn resumed(&self, fire: Timestamp, from: Timestamp) -> Option<Timestamp> {
        if from > Timestamp::MAX {
            return None;
        }
        let fire = self.exact(fire);
        self.bounded(us(from) + (fire - us(from)).rem_euclid(self.every_us))
    }

    /// The `n`-th fire time after `previous`.
    pub(crate) fn nth_after(&self, previous: Timestamp, n: i64) -> Option<Timestamp> {
        let steps = self.every_us.checked_mul(n)?;
        self.bounded(self.exact(previous).checked_add(steps)?)
    }

    /// How many fire times lie after `first`, up to and including `until`.
    pub(crate) fn count_after(&self, first: Timestamp, until: Timestamp) -> i64 {
        let until = until
            .min(self.end.unwrap_or(Timestamp::MAX))
            .min(Timestamp::MAX);
        // Up to the last microsecond of that millisecond.
        ((us(until) + 999 - self.exact(first)) / self.every_us).max(0)
    }

    /// `fire` to the microsecond, if it is the millisecond of a time of the grid.
    fn exact(&self, fire: Timestamp) -> i64 {
        let shown = us(fire);
        let Some(start) = self.start.map(us).filter(|start| *start <= shown) else {
            return shown;
        };
        let latest = shown + 999 - (shown + 999 - start).rem_euclid(self.every_us);
        if latest >= shown { latest } else { shown }
    }

    fn bounded(&self, at_us: i64) -> Option<Timestamp> {
        let at = Timestamp::from_ms(at_us.div_euclid(1000));
        (at <= self.end.unwrap_or(Timestamp::MAX).min(Timestamp::MAX)).then_some(at)
    }
}

/// Microseconds since the epoch, within the range that fire times have.
fn us(at: Timestamp) -> i64 {
    at.as_ms()
        .clamp(-Timestamp::MAX.as_ms(), Timestamp::MAX.as_ms())
        * 1000
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the sum was found to be within bounds"
)]
fn length_us(spec: &IntervalSpec) -> Result<i64, TriggerError> {
    let parts = [
        ("weeks", spec.weeks, 7.0 * 86_400.0),
        ("days", spec.days, 86_400.0),
        ("hours", spec.hours, 3600.0),
        ("minutes", spec.minutes, 60.0),
        ("seconds", spec.seconds, 1.0),
    ];
    if parts.iter().all(|(_, value, _)| value.is_none()) {
        // APScheduler's rule: an interval without a length is one second.
        return Ok(1_000_000);
    }
    let mut sum = 0.0;
    for (field, value, unit) in parts {
        let value = value.unwrap_or(0.0);
        if !value.is_finite() {
            return Err(TriggerError::new(field, format!("{value} is no length")));
        }
        sum += (value * unit * SECOND).round_ties_even();
    }
    let field = parts
        .iter()
        .find(|(_, value, _)| value.is_some())
        .map_or("seconds", |part| part.0);
    if sum < 1000.0 {
        let message = format!(
            "an interval of {} s is too short: at least 0.001 s",
            sum / SECOND
        );
        return Err(TriggerError::new(field, message));
    }
    if sum > LONGEST as f64 {
        return Err(TriggerError::new(
            field,
            "an interval lasts at most 12,000 years",
        ));
    }
    Ok(sum as i64)
}
