//! Python's dates, lengths and zones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use scheduler_core::Timestamp;
use serde_json::Value;

use super::pickle::{Item, Pickle};

/// Where a value stands that is no JSON.
const PICKLE: &str = "__apscheduler_pickle__";

/// The pickle of a value, if it is one.
pub(super) fn pickled(value: &Value) -> Option<Result<Pickle, String>> {
    let text = value.as_object()?.get(PICKLE)?.as_str()?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| format!("a pickle that is no base64: {error}"));
    Some(bytes.and_then(|bytes| Pickle::read(&bytes)))
}

/// Reads a pickled value; says what it should be.
fn read<T>(
    value: &Value,
    what: &str,
    take: impl FnOnce(Item<'_>) -> Result<T, String>,
) -> Result<T, String> {
    match pickled(value) {
        Some(pickle) => take(pickle?.root()),
        None => Err(format!("{value} is no {what}")),
    }
}

/// An instant: a `datetime` with a zone.
pub(super) fn instant(value: &Value) -> Result<Timestamp, String> {
    read(value, "datetime", |item| {
        let [wall, zone] = &item.args()[..] else {
            return Err(format!("{} is no datetime with a zone", item.describe()));
        };
        let (wall, is_later) = wall_time(item, *wall)?;
        let utc = match zone_of(*zone)? {
            Zone::Fixed(seconds) => wall - Duration::seconds(seconds),
            Zone::Named(zone) => utc_of(zone, wall, is_later),
        };
        Ok(Timestamp::from_ms(utc.and_utc().timestamp_millis()))
    })
}

/// An instant, or none.
pub(super) fn optional_instant(value: &Value) -> Result<Option<Timestamp>, String> {
    (!value.is_null()).then(|| instant(value)).transpose()
}

/// A `date`, or none.
pub(super) fn optional_date(value: &Value) -> Result<Option<NaiveDate>, String> {
    if value.is_null() {
        return Ok(None);
    }
    read(value, "date", |item| {
        let bytes = item.args().first().and_then(|bytes| bytes.bytes());
        match (item.class(), bytes) {
            (Some("datetime:date"), Some([high, low, month, day])) => {
                day_of(*high, *low, *month, *day).map(Some)
            }
            _ => Err(format!("{} is no date", item.describe())),
        }
    })
}

/// A `timedelta`, in seconds.
pub(super) fn seconds(value: &Value) -> Result<f64, String> {
    read(value, "timedelta", |item| {
        let (seconds, micros) = delta(item)?;
        #[expect(clippy::cast_precision_loss, reason = "no interval is that long")]
        let seconds = seconds as f64 + micros as f64 / 1e6;
        Ok(seconds)
    })
}

/// The name of a `tzinfo`.
pub(super) fn zone_name(value: &Value) -> Result<String, String> {
    read(value, "time zone", |item| match zone_of(item)? {
        Zone::Named(zone) => Ok(zone.name().to_owned()),
        Zone::Fixed(0) => Ok("UTC".to_owned()),
        Zone::Fixed(seconds) if seconds % 3600 == 0 && (-12..=14).contains(&(seconds / 3600)) => {
            // The signs of these names are the other way round.
            Ok(format!("Etc/GMT{:+}", -seconds / 3600))
        }
        Zone::Fixed(seconds) => Err(format!(
            "the fixed offset of {seconds} s has no name: give the trigger a zone such as \
             \"Asia/Kolkata\""
        )),
    })
}

enum Zone {
    Named(Tz),
    /// So many seconds before UTC's clock.
    Fixed(i64),
}

fn zone_of(item: Item<'_>) -> Result<Zone, String> {
    let args = item.args();
    match item.class() {
        Some("zoneinfo:ZoneInfo" | "pytz:_p" | "backports.zoneinfo:ZoneInfo") => {
            let name = args.first().and_then(|name| name.text());
            let name = name.ok_or("a time zone without a name")?;
            let zone = name.parse().map(Zone::Named);
            zone.map_err(|_| format!("the time zone {name:?} is unknown"))
        }
        Some("pytz:_UTC") => Ok(Zone::Named(Tz::UTC)),
        Some("datetime:timezone") => {
            let offset = args.first().ok_or("a time zone without an offset")?;
            Ok(Zone::Fixed(delta(*offset)?.0))
        }
        _ => Err(format!(
            "{} is no time zone that is known here",
            item.describe()
        )),
    }
}

/// The seconds and microseconds of a `timedelta`.
fn delta(item: Item<'_>) -> Result<(i64, i64), String> {
    let parts: Vec<_> = item.args().iter().filter_map(|part| part.int()).collect();
    match (item.class(), &parts[..]) {
        (Some("datetime:timedelta"), [days, seconds, micros]) => days
            .checked_mul(86_400)
            .and_then(|days| days.checked_add(*seconds))
            .map(|seconds| (seconds, *micros))
            .ok_or_else(|| "a timedelta that is too long".to_owned()),
        _ => Err(format!("{} is no timedelta", item.describe())),
    }
}

fn day_of(high: u8, low: u8, month: u8, day: u8) -> Result<NaiveDate, String> {
    let year = i32::from(high) * 256 + i32::from(low);
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .ok_or_else(|| format!("{year}-{month}-{day} is no date"))
}

/// A wall clock's time, and whether it is the later of two that the clock shows (`fold`).
fn wall_time(item: Item<'_>, bytes: Item<'_>) -> Result<(NaiveDateTime, bool), String> {
    let Some([high, low, month, day, hour, minute, second, micros @ ..]) = bytes.bytes() else {
        return Err(format!("{} is no datetime", item.describe()));
    };
    let micros = micros.iter().fold(0, |n, byte| n * 256 + u32::from(*byte));
    let day = day_of(*high, *low, month & 0x7f, *day)?;
    day.and_hms_micro_opt((*hour).into(), (*minute).into(), (*second).into(), micros)
        .map(|wall| (wall, *month >= 0x80))
        .ok_or_else(|| "a datetime whose time is none".to_owned())
}

fn utc_of(zone: Tz, wall: NaiveDateTime, is_later: bool) -> NaiveDateTime {
    let found = zone.from_local_datetime(&wall);
    let found = if is_later {
        found.latest()
    } else {
        found.earliest()
    };
    found.map_or_else(
        || {
            // A time that the clock skipped counts by the offset before, as in Python.
            let before = zone.offset_from_utc_datetime(&(wall - Duration::days(1)));
            wall - Duration::seconds(before.fix().local_minus_utc().into())
        },
        |at| at.naive_utc(),
    )
}
