//! The kinds of triggers behind one face.

use super::calendar::CalendarInterval;
use super::combine::Combined;
use super::cron::Cron;
use super::interval::Interval;
use super::leaps::Leaps;
use crate::time::Timestamp;

/// A rule that yields fire times, exclusions aside.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Once; without a date, whenever it begins.
    Date(Option<Timestamp>),
    Interval(Interval),
    Cron(Box<Cron>),
    Calendar(CalendarInterval),
    Combined(Combined),
}

impl Rule {
    /// The first fire time of a schedule that begins at `now`.
    pub(crate) fn first(&self, now: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self {
            Self::Date(run_date) => Some(run_date.unwrap_or(now)),
            Self::Interval(interval) => interval.first(now),
            Self::Cron(cron) => cron.at_or_after(now),
            Self::Calendar(calendar) => calendar.first(now),
            Self::Combined(combined) => combined.at_or_after(now, leaps),
        }
    }

    /// The fire time that follows the fire time `previous`.
    pub(crate) fn next_after(&self, previous: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self {
            Self::Date(_) => None,
            Self::Interval(interval) => interval.next_after(previous),
            Self::Cron(cron) => cron.next_after(previous),
            Self::Calendar(calendar) => calendar.next_after(previous),
            Self::Combined(combined) => combined.at_or_after(just_after(previous), leaps),
        }
    }

    /// The first fire time after `at`, which may be the fire time of another rule.
    pub(crate) fn following(&self, at: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self {
            Self::Date(run_date) => run_date.filter(|run_date| *run_date > at),
            Self::Interval(interval) => interval.following(at),
            Self::Cron(cron) => cron.at_or_after(just_after(at)),
            Self::Calendar(calendar) => calendar.following(at, leaps),
            Self::Combined(combined) => combined.at_or_after(just_after(at), leaps),
        }
    }

    /// The first fire time at or after `from`, of the whole series that the rule means.
    pub(crate) fn at_or_after(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self {
            Self::Date(run_date) => run_date.filter(|run_date| *run_date >= from),
            Self::Interval(interval) => interval.at_or_after(from),
            Self::Cron(cron) => cron.at_or_after(from),
            Self::Calendar(calendar) => calendar.at_or_after(from, leaps),
            Self::Combined(combined) => combined.at_or_after(from, leaps),
        }
    }

    /// The first fire time at or after `from` of the schedule that the fire time `fire` belongs to.
    pub(crate) fn resumed(
        &self,
        fire: Timestamp,
        from: Timestamp,
        leaps: &mut Leaps,
    ) -> Option<Timestamp> {
        match self {
            Self::Date(_) => None,
            Self::Interval(interval) => interval.resumed(fire, from),
            Self::Cron(cron) => cron.at_or_after(from),
            Self::Calendar(calendar) => calendar.resumed(fire, from, leaps),
            Self::Combined(combined) => combined.at_or_after(from, leaps),
        }
    }

    /// The last possible fire time, if the rule names one.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Date(_) | Self::Combined(_) => None,
            Self::Interval(interval) => interval.end(),
            Self::Cron(cron) => cron.end(),
            Self::Calendar(calendar) => calendar.end(),
        }
    }
}

pub(crate) fn just_after(at: Timestamp) -> Timestamp {
    Timestamp::from_ms(at.as_ms().saturating_add(1))
}
