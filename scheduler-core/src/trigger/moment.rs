//! Dates and times as people write them.
//!
//! The forms are those of APScheduler 3: `2026-12-24`, `2026-12-24 18:00:00`, with `T` or a blank
//! between, up to six digits of a fraction, and `Z` or `+01:00` behind it. A time without an offset
//! is the wall clock of the trigger's zone: one that the clock jumps over is moved forward by the
//! jump, one that happens twice is the first.

use chrono::{NaiveDate, NaiveDateTime};
use chrono_tz::Tz;

use super::error::TriggerError;
use super::zone::{WallTime, Zone};
use crate::time::Timestamp;

/// The instant that a text means in a zone, in the forms that triggers read. `field` is what messages
/// call the text.
///
/// # Errors
///
/// What is no date, by field and character.
pub fn read_moment(field: &str, text: &str, timezone: Tz) -> Result<Timestamp, TriggerError> {
    Ok(Moment::parse(field, text)?.start(&Zone::new(timezone)))
}

/// A date, or an instant in some zone, not yet placed on the time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A date alone.
    Date(NaiveDate),
    /// A wall-clock time.
    Wall(NaiveDateTime),
    /// An instant.
    At(Timestamp),
}

impl Moment {
    /// Reads `text`, the value of `field`.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, TriggerError> {
        Reader { field, text, at: 0 }.moment()
    }

    /// The instant that the value of a field means, if there is one.
    pub(crate) fn instant(
        field: &str,
        text: Option<&str>,
        zone: &Zone,
    ) -> Result<Option<Timestamp>, TriggerError> {
        text.map(|text| Ok(Self::parse(field, text)?.start(zone)))
            .transpose()
    }

    /// The instant: a date means its midnight, a wall time that of `zone`.
    pub(crate) fn start(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Date(date) => place(date.and_time(chrono::NaiveTime::MIN), zone),
            Self::Wall(wall) => place(wall, zone),
            Self::At(at) => at,
        }
    }

    /// The last millisecond that this moment names: a date means the whole day.
    pub(crate) fn end(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Date(date) => {
                let next = date.succ_opt().unwrap_or(date);
                Timestamp::from_ms(Self::Date(next).start(zone).as_ms() - 1)
            }
            Self::Wall(_) | Self::At(_) => self.start(zone),
        }
    }
}

fn place(wall: NaiveDateTime, zone: &Zone) -> Timestamp {
    let utc = wall.and_utc();
    let at = match zone.instants_of(utc.timestamp()) {
        WallTime::Once(at) | WallTime::Twice { first: at } => at,
        WallTime::Skipped { shifted, .. } => shifted,
    };
    Timestamp::from_ms(at * 1000 + i64::from(utc.timestamp_subsec_millis()))
}

/// Reads one date from left to right, and remembers where it stands.
struct Reader<'a> {
    field: &'a str,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn moment(mut self) -> Result<Moment, TriggerError> {
        let year = self.number(4, 4)?;
        self.expect('-')?;
        let month = self.number(1, 2)?;
        self.expect('-')?;
        let day = self.number(1, 2)?;
        let date = i32::try_from(year)
            .ok()
            .and_then(|year| NaiveDate::from_ymd_opt(year, month, day))
            .ok_or_else(|| self.wrong("there is no such day"))?;
        if self.rest().is_empty() {
            return Ok(Moment::Date(date));
        }
        if !self.skip('T') {
            self.expect(' ')?;
        }
        let hour = self.number(1, 2)?;
        self.expect(':')?;
        let minute = self.number(1, 2)?;
        self.expect(':')?;
        let second = self.number(1, 2)?;
        let micros = if self.skip('.') { self.fraction()? } else { 0 };
        let wall = date
            .and_hms_micro_opt(hour, minute, second, micros)
            .ok_or_else(|| self.wrong("there is no such time of day"))?;
        let moment = match self.offset()? {
            None => Moment::Wall(wall),
            Some(offset) => Moment::At(Timestamp::from_ms(
                wall.and_utc().timestamp_millis() - offset * 1000,
            )),
        };
        if self.rest().is_empty() {
            Ok(moment)
        } else {
            Err(self.unexpected("the end"))
        }
    }

    /// Seconds east of UTC, where an offset is written.
    fn offset(&mut self) -> Result<Option<i64>, TriggerError> {
        let sign = if self.skip('Z') {
            return Ok(Some(0));
        } else if self.skip('+') {
            1
        } else if self.skip('-') {
            -1
        } else {
            return Ok(None);
        };
        let hours = i64::from(self.number(2, 2)?);
        self.expect(':')?;
        let minutes = i64::from(self.number(2, 2)?);
        if hours > 23 || minutes > 59 {
            return Err(self.wrong("an offset lies between -23:59 and +23:59"));
        }
        Ok(Some(sign * (hours * 3600 + minutes * 60)))
    }

    /// Up to six digits, as microseconds: `.5` is half a second.
    fn fraction(&mut self) -> Result<u32, TriggerError> {
        let start = self.at;
        let digits = self.number(1, 6)?;
        let missing = 6 - u32::try_from(self.at - start).unwrap_or(6);
        Ok(digits * 10_u32.pow(missing))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), TriggerError> {
        if self.skip(wanted) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("{wanted:?}")))
        }
    }

    fn number(&mut self, least: usize, most: usize) -> Result<u32, TriggerError> {
        let digits = self
            .rest()
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if digits < least {
            self.at += digits;
            return Err(self.unexpected("a digit"));
        }
        let value = self.rest()[..digits]
            .bytes()
            .fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        self.at += digits;
        Ok(value)
    }

    fn unexpected(&self, wanted: &str) -> TriggerError {
        let found = match self.rest().chars().next() {
            Some(found) => format!("{found:?}"),
            None => "the end".to_owned(),
        };
        self.wrong(&format!("expected {wanted}, found {found}"))
    }

    fn wrong(&self, why: &str) -> TriggerError {
        let why = format!(
            "{why}. Allowed are dates such as \"2026-12-24\", \"2026-12-24 18:00:00\" and \
             \"2026-12-24T18:00:00.250+01:00\""
        );
        TriggerError::in_text(self.field, self.text, self.at, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str, tz: Tz) -> String {
        Moment::parse("run_date", text)
            .unwrap()
            .start(&Zone::new(tz))
            .to_string()
    }

    #[test]
    fn a_time_without_offset_is_the_zones_wall_clock() {
        assert_eq!(instant("2026-1-1", Tz::Asia__Tokyo), "2025-12-31T15:00:00Z");
        assert_eq!(
            instant("2026-01-01 0:0:1", Tz::Asia__Tokyo),
            "2025-12-31T15:00:01Z"
        );
        assert_eq!(
            instant("2026-01-01T10:00:00-00:30", Tz::Asia__Tokyo),
            "2026-01-01T10:30:00Z"
        );
    }

    #[test]
    fn a_skipped_time_moves_forward_and_a_repeated_one_is_the_first() {
        let new_york = Tz::America__New_York;
        assert_eq!(
            instant("2026-03-08 02:30:00", new_york),
            "2026-03-08T07:30:00Z"
        );
        assert_eq!(
            instant("2026-11-01 01:30:00", new_york),
            "2026-11-01T05:30:00Z"
        );
    }

    #[test]
    fn a_fraction_is_a_fraction() {
        assert_eq!(
            instant("2026-01-01 10:00:00.5", Tz::UTC),
            "2026-01-01T10:00:00.500Z"
        );
        assert_eq!(
            instant("2026-01-01 10:00:00.000999", Tz::UTC),
            "2026-01-01T10:00:00Z"
        );
    }

    #[test]
    fn other_forms_are_refused_where_they_go_wrong() {
        for (text, at) in [
            ("", 0),
            (" 2026-01-01", 0),
            ("2026-02-30", 10),
            ("2026-13-01", 10),
            ("01/01/2026", 2),
            ("2026-01-01T00:00", 16),
            ("2026-01-01 00:00:00 +08:00", 19),
            ("2026-01-01 00:00:00+0800", 22),
            ("2026-01-01 00:00:00.1234567", 26),
            ("2026-01-01 24:00:00", 19),
            ("2026-01-01x", 10),
            ("2026-01-01 00:00:00+99:00", 25),
            ("２026-01-01", 0),
        ] {
            let error = Moment::parse("start_date", text).unwrap_err();
            assert_eq!(error.pointer.as_ref().unwrap().characters, at, "{error}");
        }
    }
}
