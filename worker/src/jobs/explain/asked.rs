//! A time, as whoever asks says it.

use std::str::FromStr;
use std::time::Duration;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use scheduler_core::Timestamp;

/// A time as people type it: an instant, or a wall clock's, of today where no day is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This instant.
    Instant(Timestamp),
    /// What a clock of the job's zone shows.
    Wall {
        /// On this day; none for the last one on which it was so late.
        day: Option<NaiveDate>,
        /// At this time.
        time: NaiveTime,
        /// Within how long from there a fire time is meant: a minute, where no seconds are said.
        within: Duration,
    },
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::Instant(at));
        }
        let wall = |day, time, within| Self::Wall { day, time, within };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        for (format, within) in [
            ("%Y-%m-%d %H:%M", minute),
            ("%Y-%m-%d %H:%M:%S", second),
            ("%Y-%m-%dT%H:%M", minute),
            ("%Y-%m-%dT%H:%M:%S", second),
        ] {
            if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
                return Ok(wall(Some(at.date()), at.time(), within));
            }
        }
        for (format, within) in [("%H:%M", minute), ("%H:%M:%S", second)] {
            if let Ok(time) = NaiveTime::parse_from_str(text, format) {
                return Ok(wall(None, time, within));
            }
        }
        Err(format!(
            "{text:?} is no time: give 2026-12-24T18:00:00Z, or the time of the job's zone as \
             03:00 or '2026-12-24 03:00'"
        ))
    }
}

impl Asked {
    /// The stretch of instants that is meant: a clock's time that lies ahead was yesterday's.
    pub(super) fn stretch(self, zone: Tz, now: Timestamp) -> (Timestamp, Timestamp) {
        let (day, time, within) = match self {
            Self::Instant(at) => return (at, at),
            Self::Wall { day, time, within } => (day, time, within),
        };
        let today = now.to_datetime().with_timezone(&zone).date_naive();
        let on = |day: NaiveDate| {
            let at = zone.from_local_datetime(&day.and_time(time));
            // A time that the clock jumped over is taken for the moment after the jump.
            let at = at.earliest().map(Timestamp::from);
            at.unwrap_or_else(|| Timestamp::from(day.and_time(time).and_utc()))
        };
        let from = match day {
            Some(day) => on(day),
            None if on(today) > now => on(today.checked_sub_days(Days::new(1)).unwrap_or(today)),
            None => on(today),
        };
        let last = from.after(within.saturating_sub(Duration::from_millis(1)));
        (from, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_say_it() {
        let berlin = Tz::Europe__Berlin;
        let now: Timestamp = "2026-11-22T01:30:00Z".parse().unwrap();
        let at = |text: &str| {
            let (from, to) = text.parse::<Asked>().unwrap().stretch(berlin, now);
            (from.to_string(), to.since(from).as_millis())
        };
        let asked = |text: &str, ms| (text.to_owned(), ms);
        assert_eq!(at("2026-11-22T03:00:00Z"), asked("2026-11-22T03:00:00Z", 0));
        assert_eq!(at("02:00"), asked("2026-11-22T01:00:00Z", 59_999));
        assert_eq!(
            at("03:00"),
            asked("2026-11-21T02:00:00Z", 59_999),
            "yesterday's"
        );
        assert_eq!(at("02:00:30"), asked("2026-11-22T01:00:30Z", 999));
        assert_eq!(
            at("2026-12-24 18:00"),
            asked("2026-12-24T17:00:00Z", 59_999)
        );
        assert!("noon".parse::<Asked>().is_err());
    }
}
