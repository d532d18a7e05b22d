//! Which years match, and what distinguishes one year from another.
//!
//! Two years are of one *kind* if each of their days has the same weekday and the same ISO week
//! number: that depends on whether they are leap years, on the weekday of 1 January, and on whether
//! the year before had 53 weeks. There are 28 kinds, so what holds for a kind is found out once.

const FIRST: i32 = 1970;
const LAST: i32 = 9999;
const COUNT: usize = 8030;
/// How many kinds of years there are.
pub(super) const KINDS: usize = 28;

/// The kind of each year from 1970 on.
static KIND_OF: [u8; COUNT] = {
    let mut kinds = [0; COUNT];
    let (mut index, mut year) = (0, FIRST);
    while index < COUNT {
        kinds[index] = kind(year);
        (index, year) = (index + 1, year + 1);
    }
    kinds
};

/// Every `step`-th year from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct YearRange {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) step: u16,
}

/// The years that match.
#[derive(Clone, Debug)]
pub(super) struct Years(Vec<YearRange>);

impl Years {
    pub(super) fn new(ranges: Vec<YearRange>) -> Self {
        Self(ranges)
    }

    pub(super) fn ranges(&self) -> &[YearRange] {
        &self.0
    }

    /// The first matching year at or after `year`.
    pub(super) fn at_or_after(&self, year: i32) -> Option<i32> {
        self.0
            .iter()
            .filter_map(|range| range.at_or_after(year))
            .min()
    }

    pub(super) fn contains(&self, year: i32) -> bool {
        self.at_or_after(year) == Some(year)
    }
}

impl YearRange {
    fn at_or_after(self, year: i32) -> Option<i32> {
        let (first, last, step) = (
            i32::from(self.first),
            i32::from(self.last),
            i32::from(self.step),
        );
        let next = if year <= first {
            first
        } else if step == 1 {
            year
        } else {
            first + (year - first + step - 1) / step * step
        };
        (next <= last).then_some(next)
    }
}

/// The kind of a year from 1970 to 9999; of others, some kind.
pub(super) fn kind_of(year: i32) -> usize {
    let index = usize::try_from(year - FIRST).unwrap_or(0);
    usize::from(KIND_OF.get(index).copied().unwrap_or_default())
}

/// A year of each kind, by kind. The calendar repeats after 400 years, so they lie in that time.
pub(super) fn one_of_each_kind() -> impl Iterator<Item = (usize, i32)> {
    let mut known = [false; KINDS];
    (2000..2400)
        .map(|year| (kind_of(year), year))
        .filter(move |(kind, _)| !std::mem::replace(&mut known[*kind], true))
}

pub(super) const fn is_in_range(year: i32) -> bool {
    FIRST <= year && year <= LAST
}

const fn kind(year: i32) -> u8 {
    let leap = if is_leap(year) { 14 } else { 0 };
    let after_long = if is_long(year - 1) { 7 } else { 0 };
    leap + after_long + first_weekday(year)
}

const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The weekday of 1 January, from Monday = 0.
const fn first_weekday(year: i32) -> u8 {
    let before = year - 1;
    // 1 January of the year 1 was a Monday; each year moves it by one, each leap day by one more.
    let weekday = (before + before / 4 - before / 100 + before / 400) % 7;
    weekday.to_le_bytes()[0]
}

/// Whether a year has 53 ISO weeks.
const fn is_long(year: i32) -> bool {
    let first = first_weekday(year);
    first == 3 || (first == 2 && is_leap(year))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn two_years_of_one_kind_have_the_same_weekdays_and_weeks() {
        let mut seen: [Option<Vec<(u32, u32)>>; KINDS] = [const { None }; KINDS];
        for year in 1970..=2400 {
            let days: Vec<_> = NaiveDate::from_ymd_opt(year, 1, 1)
                .unwrap()
                .iter_days()
                .take_while(|date| date.year() == year)
                .map(|date| {
                    (
                        date.weekday().num_days_from_monday(),
                        date.iso_week().week(),
                    )
                })
                .collect();
            match &seen[kind_of(year)] {
                Some(known) => assert!(*known == days, "{year}"),
                None => seen[kind_of(year)] = Some(days),
            }
        }
        assert_eq!(one_of_each_kind().count(), seen.iter().flatten().count());
    }

    #[test]
    fn years_count_from_their_own_beginning() {
        let years = Years::new(vec![
            YearRange {
                first: 1970,
                last: 9999,
                step: 4,
            },
            YearRange {
                first: 2031,
                last: 2031,
                step: 1,
            },
        ]);
        assert_eq!(years.at_or_after(1900), Some(1970));
        assert_eq!(years.at_or_after(2026), Some(2026));
        assert_eq!(years.at_or_after(2027), Some(2030));
        assert_eq!(years.at_or_after(2031), Some(2031));
        assert_eq!(years.at_or_after(9999), None);
    }
}
