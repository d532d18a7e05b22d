//! Dates as the original reads and writes them.
//!
//! Flat dates (`run_date`, `start_date`, `end_date` beside `trigger`) may be free text, which
//! `dateutil` reads. Those inside a trigger object, and `next_run_time`, have one strict form.

use std::panic::catch_unwind;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{DateSpec, TriggerSpec};
use serde_json::Value;

use super::python::type_name;
use super::refusal::Refusal;

/// No date that people write is longer, in bytes.
const LONGEST: usize = 100;

/// An instant, and the offset in which it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) offset: FixedOffset,
}

impl Moment {
    /// An instant as a zone's clocks show it.
    pub(super) fn in_zone(at: Timestamp, zone: Tz) -> Self {
        let offset = zone.offset_from_utc_datetime(&at.to_datetime().naive_utc());
        let offset = offset.fix();
        Self { at, offset }
    }

    /// `datetime.isoformat()`.
    pub(super) fn isoformat(self) -> String {
        let local = self.at.to_datetime().with_timezone(&self.offset);
        isoformat(&local)
    }
}

fn isoformat(at: &DateTime<FixedOffset>) -> String {
    let micros = at.nanosecond() % 1_000_000_000 / 1000;
    let fraction = match micros {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!(
        "{}{fraction}{}",
        at.format("%Y-%m-%dT%H:%M:%S"),
        at.format("%:z")
    )
}

/// Reads the strict form: `2026-01-31 10:00:00`, with `T`, a fraction and an offset where wanted.
pub(super) fn strict(field: &str, value: &Value, zone: Tz) -> Result<Moment, Refusal> {
    let Value::String(text) = value else {
        let name = type_name(value);
        return Err(Refusal::invalid(format!(
            "Unsupported type for {field}: {name}"
        )));
    };
    moment(text, zone).ok_or_else(|| Refusal::invalid("Invalid date string"))
}

/// A date that a trigger holds, as text that it reads; none where it is not there.
pub(super) fn of_trigger(
    field: &str,
    value: Option<&Value>,
    zone: Tz,
) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            strict(field, value, zone)?;
            Ok(value.as_str().map(str::to_owned))
        }
    }
}

/// What a date of a trigger means, and in which offset it is shown: its own, or the zone's.
pub(super) fn moment(text: &str, zone: Tz) -> Option<Moment> {
    let spec = TriggerSpec::Date(DateSpec {
        run_date: Some(text.to_owned()),
        timezone: Some(zone.name().to_owned()),
        ..DateSpec::default()
    });
    let at = spec.resolve(zone).ok()?.first(Timestamp::EPOCH)?;
    Some(match own_offset(text) {
        Some(offset) => Moment { at, offset },
        None => Moment::in_zone(at, zone),
    })
}

/// The offset that stands at the end of a date in the strict form.
fn own_offset(text: &str) -> Option<FixedOffset> {
    if text.ends_with('Z') {
        return FixedOffset::east_opt(0);
    }
    // Past the date, whose dashes are none.
    let time = text.get(8..)?;
    let sign = time.rfind(['+', '-'])?;
    time[sign..].parse().ok()
}

/// Reads a flat date as `dateutil` does, and writes it in the strict form. Of what is not said,
/// `now` says the day.
pub(super) fn free_text(text: &str, now: Timestamp) -> Result<String, Refusal> {
    let unknown = || {
        let shown: String = text.chars().take(LONGEST).collect();
        Refusal::invalid(format!("Unknown string format: {shown}"))
    };
    if text.len() > LONGEST || !text.is_ascii() {
        return Err(unknown());
    }
    let today = now
        .to_datetime()
        .date_naive()
        .and_time(chrono::NaiveTime::MIN);
    let owned = text.to_owned();
    // The library is not written for whatever strangers send.
    let parsed = catch_unwind(move || {
        let parser = dtparse::Parser::default();
        let tzinfos = std::collections::HashMap::new();
        parser.parse(
            &owned,
            None,
            None,
            false,
            false,
            Some(&today),
            false,
            &tzinfos,
        )
    });
    match parsed {
        Ok(Ok((naive, offset, _))) => written(naive, offset).ok_or_else(unknown),
        Ok(Err(_)) | Err(_) => Err(unknown()),
    }
}

fn written(naive: NaiveDateTime, offset: Option<FixedOffset>) -> Option<String> {
    let text = naive.format("%Y-%m-%d %H:%M:%S%.6f");
    let text = match offset {
        Some(offset) => format!("{text}{offset}"),
        None => text.to_string(),
    };
    moment(&text, Tz::UTC).map(|_| text)
}
