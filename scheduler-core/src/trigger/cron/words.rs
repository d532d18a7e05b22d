//! A cron schedule in words: `at 05:30, Monday to Friday`.

use super::days::DayForms;
use super::dialect::{MONTHS, WEEKDAYS, full_name};
use super::schedule::{DayLogic, DayRule, Schedule};

const ALL_SIXTY: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
const ALL_DAYS: u64 = (1 << 32) - 2;
const ALL_WEEKS: u64 = (1 << 54) - 2;
const ALL_MONTHS: u64 = (1 << 13) - 2;
/// More times of day than this are not listed one by one.
const MAX_LISTED: usize = 6;

impl Schedule {
    pub(super) fn words(&self) -> String {
        let mut parts = vec![self.times()];
        let days = self.days();
        parts.extend(days);
        if self.weeks != ALL_WEEKS {
            parts.push(format!(
                "in ISO week {}",
                listed(self.weeks, |week| week.to_string())
            ));
        }
        if self.months != ALL_MONTHS {
            parts.push(format!("in {}", listed(self.months, month_name)));
        }
        let every_year = self
            .years
            .ranges()
            .iter()
            .any(|y| (y.first, y.last, y.step) == (1970, 9999, 1));
        if !every_year {
            let years = self.years.ranges().iter().map(|years| {
                match (years.last - years.first, years.step) {
                    (0, _) => years.first.to_string(),
                    (_, 1) => format!("{} to {}", years.first, years.last),
                    (_, step) => {
                        format!("every {step} years from {} to {}", years.first, years.last)
                    }
                }
            });
            parts.push(format!("in {}", joined(&years.collect::<Vec<_>>())));
        }
        parts.join(", ")
    }

    fn times(&self) -> String {
        let (hours, minutes, seconds) = (
            values(self.hours),
            values(self.minutes),
            values(self.seconds),
        );
        if hours.len() * minutes.len() * seconds.len() <= MAX_LISTED {
            let mut times = Vec::new();
            for hour in &hours {
                for minute in &minutes {
                    times.extend(seconds.iter().map(|second| match second {
                        0 if seconds.len() == 1 => format!("{hour:02}:{minute:02}"),
                        _ => format!("{hour:02}:{minute:02}:{second:02}"),
                    }));
                }
            }
            return format!("at {}", joined(&times));
        }
        let mut words = Vec::new();
        if self.seconds != 1 {
            words.push(ticks("second", self.seconds));
        }
        if self.seconds == 1 && self.minutes == 1 {
            // On the hour: the hours alone say when.
            words.push(match stepped(self.hours, ALL_HOURS) {
                Some(1) => "every hour".to_owned(),
                Some(step) => format!("every {step} hours"),
                None => format!("on the hour{}", self.in_hours()),
            });
            return words.join(" ");
        }
        if self.seconds == 1 {
            words.push(ticks("minute", self.minutes));
        } else if self.minutes != ALL_SIXTY {
            words.push(format!(
                "of minute {}",
                listed(self.minutes, |minute| minute.to_string())
            ));
        }
        words.join(" ") + &self.in_hours()
    }

    fn in_hours(&self) -> String {
        let hours = values(self.hours);
        match (hours.first(), hours.last()) {
            _ if self.hours == ALL_HOURS => String::new(),
            (Some(first), Some(last)) if last - first + 1 == count(&hours) => {
                format!(" from {first:02}:00 to {last:02}:59")
            }
            _ => format!(" of hour {}", listed(self.hours, |hour| hour.to_string())),
        }
    }

    fn days(&self) -> Option<String> {
        let day = self.by_day.words(ALL_DAYS);
        let weekday = self.by_weekday.words(0);
        match (day, weekday) {
            (None, None) => {
                (self.weeks == ALL_WEEKS && self.months == ALL_MONTHS && self.names_times())
                    .then(|| "every day".to_owned())
            }
            (Some(day), None) => Some(day),
            (None, Some(weekday)) => Some(weekday),
            (Some(day), Some(weekday)) => Some(match self.logic {
                DayLogic::Both => format!("{day} if that is {weekday}"),
                DayLogic::Either => format!("{day} or {weekday}"),
            }),
        }
    }

    fn names_times(&self) -> bool {
        stepped(self.hours, ALL_HOURS).is_none()
    }
}

impl DayRule {
    /// In words, unless it lets every day pass; `all` are the days of the month that mean so.
    fn words(&self, all: u64) -> Option<String> {
        if self.weekdays == 0b111_1111 || (all != 0 && self.days & all == all) {
            return None;
        }
        let mut parts = Vec::new();
        if self.days != 0 {
            parts.push(format!("the {}", listed(self.days, ordinal)));
        }
        if self.weekdays != 0 {
            parts.push(listed(u64::from(self.weekdays), weekday_name));
        }
        parts.extend(self.forms.words());
        let words = joined(&parts);
        Some(if self.days != 0 || self.weekdays == 0 {
            format!("on {words}")
        } else {
            words
        })
    }
}

impl DayForms {
    fn words(&self) -> Vec<String> {
        let mut parts = Vec::new();
        for (nth, weekdays) in ["first", "second", "third", "fourth", "fifth"]
            .iter()
            .zip(self.nth)
        {
            for weekday in values(u64::from(weekdays)) {
                parts.push(format!("the {nth} {} of the month", weekday_name(weekday)));
            }
        }
        for weekday in values(u64::from(self.last_weekdays)) {
            parts.push(format!("the last {} of the month", weekday_name(weekday)));
        }
        for before in values(self.from_last) {
            parts.push(match before {
                0 => "the last day of the month".to_owned(),
                1 => "the last day but one of the month".to_owned(),
                before => format!("the day {before} days before the last of the month"),
            });
        }
        for day in values(self.nearest_workdays) {
            parts.push(format!("the weekday nearest to the {}", ordinal(day)));
        }
        if self.last_workday {
            parts.push("the last weekday (Monday to Friday) of the month".to_owned());
        }
        parts
    }
}

fn ticks(unit: &str, bits: u64) -> String {
    match stepped(bits, ALL_SIXTY) {
        Some(1) => format!("every {unit}"),
        Some(step) => format!("every {step} {unit}s"),
        None => format!("at {unit} {}", listed(bits, |value| value.to_string())),
    }
}

/// The step of values that lie evenly, from 0 to the end of their unit.
fn stepped(bits: u64, all: u64) -> Option<u32> {
    let step = (bits & !1).trailing_zeros();
    let even = bits & 1 == 1 && step < 64;
    let expected = |step: u32| {
        values(all)
            .into_iter()
            .filter(|value| value.is_multiple_of(step))
            .fold(0_u64, |set, v| set | 1 << v)
    };
    let fits = |step: u32| all.count_ones().is_multiple_of(step) && expected(step) == bits;
    (even && fits(step)).then_some(step)
}

fn values(bits: u64) -> Vec<u32> {
    (0..64).filter(|value| bits >> value & 1 == 1).collect()
}

fn count(values: &[u32]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// `1, 3 to 5 and 9`.
fn listed(bits: u64, name: impl Fn(u32) -> String) -> String {
    let mut parts = Vec::new();
    let mut rest = values(bits).into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if_eq(&(last + 1)) {
            last = next;
        }
        match last - first {
            0 => parts.push(name(first)),
            1 => parts.extend([name(first), name(last)]),
            _ => parts.push(format!("{} to {}", name(first), name(last))),
        }
    }
    joined(&parts)
}

fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn ordinal(day: u32) -> String {
    let ending = match (day % 10, day % 100) {
        (1, 1 | 21 | 31) => "st",
        (2, 2 | 22) => "nd",
        (3, 3 | 23) => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}

fn month_name(month: u32) -> String {
    let short = usize::try_from(month)
        .ok()
        .and_then(|month| MONTHS.get(month - 1));
    capitalised(full_name(short.copied().unwrap_or_default()))
}

fn weekday_name(weekday: u32) -> String {
    let short = usize::try_from(weekday)
        .ok()
        .and_then(|weekday| WEEKDAYS.get(weekday));
    capitalised(full_name(short.copied().unwrap_or_default()))
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}
