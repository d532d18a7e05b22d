//! Which days of a month match.
//!
//! A month's matching days are one bit mask, computed from the weekday of its first and its length,
//! so that "the next matching day" is a shift and a count of trailing zeros.

/// Forms of a day that depend on the month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DayForms {
    /// `nth[2]` holds the weekdays (bit 0 = Monday) whose third in the month matches.
    pub(super) nth: [u8; 5],
    /// The weekdays whose last in the month matches.
    pub(super) last_weekdays: u8,
    /// Bit `n` is the day that lies `n` days before the month's last.
    pub(super) from_last: u64,
    /// Bit `n` is the Monday to Friday that is nearest to the `n`-th, in the same month.
    pub(super) nearest_workdays: u64,
    /// The last Monday to Friday.
    pub(super) last_workday: bool,
}

/// A month, as far as its days are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Month {
    /// The weekday of its first, from Monday = 0.
    pub(super) first_weekday: u32,
    /// How many days it has.
    pub(super) length: u32,
}

impl Month {
    /// Bits 1 to `length`.
    pub(super) const fn all_days(self) -> u64 {
        (1 << (self.length + 1)) - 2
    }

    /// The days that fall on one of `weekdays` (bit 0 = Monday).
    pub(super) fn on_weekdays(self, weekdays: u8) -> u64 {
        // The week, repeated to the month's end, moved so that its first stands at bit 0.
        const EVERY_WEEK: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28 | 1 << 35;
        let days = (u64::from(weekdays) * EVERY_WEEK) >> self.first_weekday;
        (days << 1) & self.all_days()
    }

    const fn is_workday(self, day: u32) -> bool {
        (self.first_weekday + day - 1) % 7 < 5
    }

    /// The Monday to Friday nearest to `day`, without leaving the month (Quartz's `W`).
    const fn workday_near(self, day: u32) -> u32 {
        if self.is_workday(day) {
            day
        } else if (self.first_weekday + day - 1) % 7 == 5 {
            // Saturday: the Friday before, or the Monday after where that is last month.
            if day > 1 { day - 1 } else { day + 2 }
        } else if day < self.length {
            day + 1
        } else {
            day - 2
        }
    }
}

impl DayForms {
    /// The days of `month` that match.
    pub(super) fn in_month(&self, month: Month) -> u64 {
        if *self == Self::default() {
            return 0;
        }
        let mut days = 0;
        for (week, weekdays) in (0_u32..).zip(self.nth) {
            let that_week = 0b1111_1110 << (7 * week);
            days |= month.on_weekdays(weekdays) & that_week;
        }
        let last_week = 0b1111_1110_u64 << (month.length - 7);
        days |= month.on_weekdays(self.last_weekdays) & last_week;
        for before in (0..month.length).filter(|before| self.from_last >> before & 1 == 1) {
            days |= 1 << (month.length - before);
        }
        for day in (1..=month.length).filter(|day| self.nearest_workdays >> day & 1 == 1) {
            days |= 1 << month.workday_near(day);
        }
        if self.last_workday {
            let last = month.length;
            let offset = if month.is_workday(last) {
                0
            } else {
                (month.first_weekday + last - 1) % 7 - 4
            };
            days |= 1 << (last - offset);
        }
        days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// August 2026 begins on a Saturday and ends on a Monday.
    const AUGUST_2026: Month = Month {
        first_weekday: 5,
        length: 31,
    };
    /// May 2026 begins on a Friday and ends on a Sunday.
    const MAY_2026: Month = Month {
        first_weekday: 4,
        length: 31,
    };

    fn days(mask: u64) -> Vec<u32> {
        (0..32).filter(|day| mask >> day & 1 == 1).collect()
    }

    #[test]
    fn weekdays_fall_where_the_calendar_puts_them() {
        assert_eq!(days(AUGUST_2026.on_weekdays(1)), [3, 10, 17, 24, 31]);
        assert_eq!(days(AUGUST_2026.on_weekdays(1 << 5)), [1, 8, 15, 22, 29]);
        assert_eq!(days(MAY_2026.on_weekdays(1 << 6)), [3, 10, 17, 24, 31]);
    }

    #[test]
    fn a_missing_fifth_weekday_matches_nothing() {
        let fifth = |weekday: u8| DayForms {
            nth: [0, 0, 0, 0, 1 << weekday],
            ..DayForms::default()
        };
        assert_eq!(days(fifth(0).in_month(AUGUST_2026)), [31]);
        assert_eq!(days(fifth(2).in_month(AUGUST_2026)), [0_u32; 0]);
    }

    #[test]
    fn the_last_of_a_month_is_counted_from_its_end() {
        let last = DayForms {
            last_weekdays: 1 << 6,
            from_last: 0b1001,
            ..DayForms::default()
        };
        assert_eq!(days(last.in_month(MAY_2026)), [28, 31]);
        let friday = DayForms {
            last_weekdays: 1 << 4,
            ..DayForms::default()
        };
        assert_eq!(days(friday.in_month(MAY_2026)), [29]);
    }

    #[test]
    fn the_nearest_workday_stays_in_the_month() {
        let near = |day: u32| DayForms {
            nearest_workdays: 1 << day,
            ..DayForms::default()
        };
        assert_eq!(days(near(1).in_month(AUGUST_2026)), [3]); // Saturday the 1st: not 31 July
        assert_eq!(days(near(8).in_month(AUGUST_2026)), [7]);
        assert_eq!(days(near(9).in_month(AUGUST_2026)), [10]);
        assert_eq!(days(near(31).in_month(MAY_2026)), [29]); // Sunday the 31st: not 1 June
        let last = DayForms {
            last_workday: true,
            ..DayForms::default()
        };
        assert_eq!(days(last.in_month(MAY_2026)), [29]);
        assert_eq!(days(last.in_month(AUGUST_2026)), [31]);
    }
}
