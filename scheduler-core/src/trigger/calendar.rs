//! Every so many days, weeks, months or years, at a wall-clock time.
//!
//! Dates are stepped, not instants: from a date, so many months on to the same day number (on and on
//! until there is such a day: 31 January, 31 March, 31 May), then so many days.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime};

use super::error::TriggerError;
use super::leaps::Leaps;
use super::moment::Moment;
use super::rule::just_after;
use super::spec::{CalendarIntervalSpec, Dst};
use super::zone::{WallTime, Zone, wall_datetime};
use crate::time::Timestamp;

/// A calendar interval, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct CalendarInterval {
    months: i32,
    days: i64,
    time: NaiveTime,
    start: Option<NaiveDate>,
    end: Option<NaiveDate>,
    /// A time that the clock jumps over fires at the first instant after the jump.
    once: bool,
    zone: Zone,
}

impl CalendarInterval {
    pub(crate) fn new(spec: &CalendarIntervalSpec, zone: Zone) -> Result<Self, TriggerError> {
        let (months, days) = step(spec)?;
        let start = date("start_date", spec.start_date.as_deref())?;
        let end = date("end_date", spec.end_date.as_deref())?;
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            let message = format!("{end} lies before the start_date {start}");
            return Err(TriggerError::new("end_date", message));
        }
        let once = spec.dst.unwrap_or_default() == Dst::Once;
        Ok(Self {
            months,
            days,
            time: time(spec)?,
            start,
            end,
            once,
            zone,
        })
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.end.map(|end| Moment::Date(end).end(&self.zone))
    }

    /// The start date, even if it is past, as in APScheduler; without one, today's time or the next.
    pub(crate) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self.start {
            Some(start) => self.beginning(start, Timestamp::from_ms(i64::MIN)),
            None => self.beginning(self.date_at(now), now),
        }
    }

    /// The fire time of the date that follows `previous`'s.
    pub(crate) fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        let after = Timestamp::from_ms(previous.as_ms().checked_add(1)?);
        self.beginning(self.next_date(self.nominal_date(previous))?, after)
    }

    /// The fire time of the date that follows `at`'s; where `at` is no fire time of the schedule, the
    /// first one after it.
    pub(crate) fn following(&self, at: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self.start {
            Some(_) => self.at_or_after(just_after(at), leaps),
            None if self.fire_time(self.nominal_date(at)) == Some(at) => self.next_after(at),
            None => self.first(just_after(at)),
        }
    }

    /// The first fire time at or after `from` of the schedule that begins at the start date, or, if
    /// there is none, at 1970-01-01.
    pub(crate) fn at_or_after(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        self.beginning(
            self.near(self.start.unwrap_or_default(), from, leaps)?,
            from,
        )
    }

    /// The first fire time at or after `from` of the schedule that `fire` belongs to.
    pub(crate) fn resumed(
        &self,
        fire: Timestamp,
        from: Timestamp,
        leaps: &mut Leaps,
    ) -> Option<Timestamp> {
        self.beginning(self.near(self.nominal_date(fire), from, leaps)?, from)
    }

    /// The first fire time at or after `from`, of `date` or a date that follows it.
    fn beginning(&self, mut date: NaiveDate, from: Timestamp) -> Option<Timestamp> {
        loop {
            if self.end.is_some_and(|end| date > end) {
                return None;
            }
            match self.fire_time(date) {
                Some(at) if at > Timestamp::MAX => return None,
                Some(at) if at >= from => return Some(at),
                _ => date = self.next_date(date)?,
            }
        }
    }

    fn next_date(&self, date: NaiveDate) -> Option<NaiveDate> {
        let mut next = date;
        if self.months > 0 {
            let mut month = date.year() * 12 + i32::try_from(date.month0()).ok()?;
            loop {
                month = month.checked_add(self.months)?;
                let (year, month0) = (month / 12, u32::try_from(month % 12).ok()?);
                if year > 9999 {
                    return None;
                }
                if let Some(found) = NaiveDate::from_ymd_opt(year, month0 + 1, date.day()) {
                    next = found;
                    break;
                }
            }
        }
        let days = Days::new(self.days.unsigned_abs());
        let next = if self.days < 0 {
            next.checked_sub_days(days)
        } else {
            next.checked_add_days(days)
        };
        next.filter(|next| next.year() <= 9999)
    }

    /// A date of the series of `start` that is near `from`, and not past it.
    ///
    /// By arithmetic where the dates lie evenly; where months and days are mixed, by walking, which
    /// is paid for with one leap per 16 dates.
    fn near(&self, start: NaiveDate, from: Timestamp, leaps: &mut Leaps) -> Option<NaiveDate> {
        // Two days earlier, no zone has yet reached what `from` shows.
        let wanted = self.date_at(from).checked_sub_days(Days::new(2))?;
        let ahead = (wanted - start).num_days();
        if ahead <= 0 {
            return Some(start);
        }
        if self.months == 0 {
            let days = u64::try_from(ahead / self.days * self.days).ok()?;
            return start.checked_add_days(Days::new(days));
        }
        if self.days == 0 {
            // A month has at most 31 days. Where the day number is missing, look further back.
            let steps = i32::try_from(ahead / 31).ok()? / self.months;
            let dates = (0..=steps).rev().filter_map(|steps| {
                let months = u32::try_from(steps * self.months).ok()?;
                start.checked_add_months(Months::new(months))
            });
            return dates.into_iter().find(|date| date.day() == start.day());
        }
        let mut date = start;
        for walked in 1_u32.. {
            match self.next_date(date)? {
                next if next > wanted => break,
                next => date = next,
            }
            if walked.is_multiple_of(16) {
                leaps.take()?;
            }
        }
        Some(date)
    }

    fn fire_time(&self, date: NaiveDate) -> Option<Timestamp> {
        let wall = date.and_time(self.time).and_utc().timestamp();
        let second = match self.zone.instants_of(wall) {
            WallTime::Once(at) | WallTime::Twice { first: at } => at,
            WallTime::Skipped { after, .. } if self.once => after,
            WallTime::Skipped { .. } => return None,
        };
        Some(Timestamp::from_ms(second * 1000))
    }

    fn date_at(&self, at: Timestamp) -> NaiveDate {
        let second = at
            .as_ms()
            .clamp(-Timestamp::MAX.as_ms(), Timestamp::MAX.as_ms())
            .div_euclid(1000);
        wall_datetime(self.zone.wall_at(second)).date()
    }

    /// The date whose fire time `fire` is. Mostly the date that the clock shows then; the day before,
    /// if the clock jumped over midnight.
    fn nominal_date(&self, fire: Timestamp) -> NaiveDate {
        let shown = self.date_at(fire);
        let is_nominal = |date: &NaiveDate| self.fire_time(*date) == Some(fire);
        let day_before = shown
            .pred_opt()
            .filter(|before| !is_nominal(&shown) && is_nominal(before));
        day_before.unwrap_or(shown)
    }
}

/// Months and days of a step. Single parts may be negative as long as each step leads forward.
fn step(spec: &CalendarIntervalSpec) -> Result<(i32, i64), TriggerError> {
    let part = |value: Option<i32>| i64::from(value.unwrap_or(0));
    let months = part(spec.years) * 12 + part(spec.months);
    let days = part(spec.weeks) * 7 + part(spec.days);
    let forward = if months == 0 {
        days >= 1
    } else {
        months > 0 && months * 28 + days >= 1
    };
    let parts = [
        ("years", spec.years),
        ("months", spec.months),
        ("weeks", spec.weeks),
        ("days", spec.days),
    ];
    let field = parts
        .iter()
        .find(|(_, value)| value.is_some())
        .map_or("days", |part| part.0);
    if !forward {
        return Err(TriggerError::new(
            field,
            "the interval must be at least 1 day long: give years, months, weeks or days",
        ));
    }
    match i32::try_from(months) {
        Ok(months) if months <= 120_000 && days.abs() <= 3_660_000 => Ok((months, days)),
        _ => Err(TriggerError::new(
            field,
            "an interval lasts at most 10,000 years",
        )),
    }
}

fn time(spec: &CalendarIntervalSpec) -> Result<NaiveTime, TriggerError> {
    let part = |field: &str, value: Option<i32>, most: u32| match value {
        None => Ok(0),
        Some(value) => u32::try_from(value)
            .ok()
            .filter(|value| *value <= most)
            .ok_or_else(|| {
                TriggerError::new(
                    field,
                    format!("{value} is out of range: allowed are 0 to {most}"),
                )
            }),
    };
    let hour = part("hour", spec.hour, 23)?;
    let minute = part("minute", spec.minute, 59)?;
    let second = part("second", spec.second, 59)?;
    Ok(NaiveTime::from_hms_opt(hour, minute, second).unwrap_or_default())
}

fn date(field: &str, text: Option<&str>) -> Result<Option<NaiveDate>, TriggerError> {
    let Some(text) = text else {
        return Ok(None);
    };
    match Moment::parse(field, text)? {
        Moment::Date(date) => Ok(Some(date)),
        Moment::Wall(_) | Moment::At(_) => {
            let at = text.find(['T', ' ']).unwrap_or(0);
            let why = "a date has no time of day here: give that as hour, minute and second";
            Err(TriggerError::in_text(field, text, at, why))
        }
    }
}
