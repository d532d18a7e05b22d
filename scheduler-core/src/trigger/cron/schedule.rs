//! The wall times that a cron trigger matches, and the search for the next of them.
//!
//! Everything here is a wall clock without a zone, in seconds since 1970-01-01T00:00. Each field is
//! a bit mask, so that a step of the search is a shift: the next second, minute or hour in a day,
//! the next day in a month. Months that can't match are never looked at: which months of a year
//! have a matching day depends only on the year's kind (see [`super::years`]), and each kind was
//! tried when the schedule was made. So the search looks at two months at most, and at no more than
//! 8,030 years (1970 to 9999), by a table. A schedule that no kind of year suits is known to be
//! impossible from the start.

use chrono::{Datelike, Months, NaiveDate};

use super::days::{DayForms, Month};
use super::field::Field;
use super::years::{KINDS, Years, is_in_range, kind_of, one_of_each_kind};

const DAY: i64 = 86_400;
const FIRST_YEAR: i32 = 1970;
const ALL_DAYS: u64 = (1 << 32) - 2;
const ALL_WEEKDAYS: u8 = 0b111_1111;
const ALL_WEEKS: u64 = (1 << 54) - 2;

/// Which days match, as one of the two fields that can say so.
#[derive(Clone, Debug)]
pub(super) struct DayRule {
    /// Bit `n`: the `n`-th of the month.
    pub(super) days: u64,
    /// Bit `n`: each such weekday, from Monday = 0.
    pub(super) weekdays: u8,
    pub(super) forms: DayForms,
}

/// How day and day of week go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayLogic {
    /// Both must match: APScheduler, Quartz, and crontab where one of them begins with `*`.
    Both,
    /// One is enough: crontab where both are restricted.
    Either,
}

/// The wall times that match.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) years: Years,
    pub(super) months: u64,
    pub(super) by_day: DayRule,
    pub(super) by_weekday: DayRule,
    pub(super) logic: DayLogic,
    pub(super) weeks: u64,
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
    /// For each kind of year, the months (bit 1 = January) that have a matching day.
    live: [u16; KINDS],
}

/// The fields of a schedule, read.
pub(super) struct Fields {
    pub(super) year: Field,
    pub(super) month: Field,
    pub(super) day: Field,
    pub(super) week: Field,
    pub(super) day_of_week: Field,
    pub(super) hour: Field,
    pub(super) minute: Field,
    pub(super) second: Field,
}

impl Schedule {
    pub(super) fn new(fields: Fields, logic: DayLogic) -> Self {
        let mut schedule = Self {
            years: Years::new(fields.year.years),
            months: fields.month.bits,
            by_day: DayRule {
                days: fields.day.bits,
                weekdays: 0,
                forms: fields.day.days,
            },
            by_weekday: DayRule {
                days: 0,
                weekdays: fields.day_of_week.bits.to_le_bytes()[0],
                forms: fields.day_of_week.days,
            },
            logic,
            weeks: fields.week.bits,
            hours: fields.hour.bits,
            minutes: fields.minute.bits,
            seconds: fields.second.bits,
            live: [0; KINDS],
        };
        schedule.find_live_months();
        schedule
    }

    /// The first matching wall time at or after `wall`.
    pub(super) fn at_or_after(&self, wall: i64) -> Option<i64> {
        let (day, second) = (wall.div_euclid(DAY), wall.rem_euclid(DAY));
        let found = self.day_at_or_after(day)?;
        if found > day {
            return Some(found * DAY + self.first_time_of_day());
        }
        if let Some(time) = self.time_at_or_after(second) {
            return Some(day * DAY + time);
        }
        let found = self.day_at_or_after(day + 1)?;
        Some(found * DAY + self.first_time_of_day())
    }

    /// If `wall` matches, a later wall time up to which each second matches.
    pub(super) fn covered_until(&self, wall: i64) -> Option<i64> {
        const ALL_HOURS: u64 = (1 << 24) - 1;
        const ALL_SIXTY: u64 = (1 << 60) - 1;
        let next_unset = |bits: u64, unit: i64| !bits >> unit;
        if self.at_or_after(wall) != Some(wall) {
            return None;
        }
        // From the smallest unit up: the first one that is restricted decides.
        let (day, second) = (wall.div_euclid(DAY), wall.rem_euclid(DAY));
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let run = |bits, unit| i64::from(u64::trailing_zeros(next_unset(bits, unit)));
        if self.seconds != ALL_SIXTY {
            return Some(wall + run(self.seconds, second % 60));
        }
        if self.minutes != ALL_SIXTY {
            return Some(day * DAY + hour * 3600 + (minute + run(self.minutes, minute)) * 60);
        }
        if self.hours != ALL_HOURS {
            return Some(day * DAY + (hour + run(self.hours, hour)) * 3600);
        }
        Some(self.covered_days_until(day)? * DAY)
    }

    /// A later day up to which each day matches, at most a year on; `day` matches itself.
    fn covered_days_until(&self, day: i64) -> Option<i64> {
        let mut first = date_of(day)?;
        for _ in 0..12 {
            let matches = is_in_range(first.year())
                && self.years.contains(first.year())
                && self.months >> first.month() & 1 == 1;
            let days = if matches {
                self.days_of(first.with_day(1)?)
            } else {
                0
            };
            let run = (!days >> first.day()).trailing_zeros();
            if first.day() + run <= u32::from(first.num_days_in_month()) {
                return Some(days_since_epoch(first) + i64::from(run));
            }
            first = first.with_day(1)?.checked_add_months(Months::new(1))?;
        }
        Some(days_since_epoch(first))
    }

    fn first_time_of_day(&self) -> i64 {
        let first = |bits: u64| i64::from(bits.trailing_zeros());
        first(self.hours) * 3600 + first(self.minutes) * 60 + first(self.seconds)
    }

    /// The first matching second of a day at or after `second`.
    fn time_at_or_after(&self, second: i64) -> Option<i64> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let first_second = i64::from(self.seconds.trailing_zeros());
        let first_minute = i64::from(self.minutes.trailing_zeros());
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + first_second);
            }
        }
        let hour = next_bit(self.hours, hour + 1)?;
        Some(hour * 3600 + first_minute * 60 + first_second)
    }

    /// The first matching day (since 1970-01-01) at or after `day`.
    fn day_at_or_after(&self, day: i64) -> Option<i64> {
        let date = date_of(day)?;
        let mut year = date.year();
        let (mut month, mut first_day) = (i64::from(date.month()), i64::from(date.day()));
        if year < FIRST_YEAR {
            (year, month, first_day) = (FIRST_YEAR, 1, 1);
        }
        if self.live == [0; KINDS] {
            return None;
        }
        loop {
            let next_year = self.years.at_or_after(year)?;
            if next_year > year {
                (year, month, first_day) = (next_year, 1, 1);
            }
            let live = u64::from(self.live[kind_of(year)]);
            while let Some(found) = next_bit(live, month) {
                if found > month {
                    first_day = 1;
                }
                let first = NaiveDate::from_ymd_opt(year, u32::try_from(found).ok()?, 1)?;
                if let Some(day) = next_bit(self.days_of(first), first_day) {
                    return Some(days_since_epoch(first) + day - 1);
                }
                (month, first_day) = (found + 1, 1);
            }
            (year, month, first_day) = (year + 1, 1, 1);
        }
    }

    /// The matching days of the month that begins with `first`, as bits.
    fn days_of(&self, first: NaiveDate) -> u64 {
        let shape = Month {
            first_weekday: first.weekday().num_days_from_monday(),
            length: u32::from(first.num_days_in_month()),
        };
        let by_day = self.by_day.in_month(shape);
        let by_weekday = self.by_weekday.in_month(shape);
        let days = match self.logic {
            DayLogic::Both => by_day & by_weekday,
            DayLogic::Either => by_day | by_weekday,
        };
        if self.weeks == ALL_WEEKS {
            return days;
        }
        let in_week = |day: &u32| {
            let date = first.with_day(*day);
            date.is_some_and(|date| self.weeks >> date.iso_week().week() & 1 == 1)
        };
        let weeks = (1..=shape.length)
            .filter(in_week)
            .fold(0, |bits, day| bits | 1 << day);
        days & weeks
    }

    fn find_live_months(&mut self) {
        let (all_days, all_weekdays) = (
            self.by_day.days == ALL_DAYS,
            self.by_weekday.weekdays == ALL_WEEKDAYS,
        );
        let first_28 = ALL_DAYS >> 3;
        // Days up to the 28th, or some weekday: every month has that, so there is nothing to try.
        let in_each_month = self.weeks == ALL_WEEKS
            && (all_weekdays && self.by_day.days & first_28 != 0
                || all_days && self.by_weekday.weekdays != 0);
        for (kind, year) in one_of_each_kind() {
            let has_match = |month: &u32| {
                in_each_month
                    || NaiveDate::from_ymd_opt(year, *month, 1)
                        .is_some_and(|first| self.days_of(first) != 0)
            };
            self.live[kind] = (1..=12)
                .filter(|month| self.months >> month & 1 == 1)
                .filter(has_match)
                .fold(0, |live, month| live | 1 << month);
        }
    }
}

impl DayRule {
    fn in_month(&self, month: Month) -> u64 {
        (self.days & month.all_days())
            | month.on_weekdays(self.weekdays)
            | self.forms.in_month(month)
    }
}

/// The lowest set bit of `bits` that is not below `from`.
fn next_bit(bits: u64, from: i64) -> Option<i64> {
    let rest = bits.checked_shr(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| from + i64::from(rest.trailing_zeros()))
}

fn date_of(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(i32::try_from(day).ok()?)
}

fn days_since_epoch(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_bit_is_found_at_or_above() {
        assert_eq!(next_bit(0b1010, 0), Some(1));
        assert_eq!(next_bit(0b1010, 1), Some(1));
        assert_eq!(next_bit(0b1010, 2), Some(3));
        assert_eq!(next_bit(0b1010, 4), None);
        assert_eq!(next_bit(u64::MAX, 64), None);
    }
}
