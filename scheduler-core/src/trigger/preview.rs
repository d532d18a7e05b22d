//! What a trigger will do: its next fire times, for people and for programs.
//!
//! Programs send one JSON object a line and get one back, in order, also for a bad one:
//!
//! ```text
//! {"id": 1, "trigger": {"type": "cron", "hour": 5}, "timezone": "Asia/Shanghai",
//!  "now": "2026-01-01T00:00:00Z", "previous": null, "count": 2}
//! {"id": 1, "fire_times": ["2026-01-01T21:00:00Z", "2026-01-02T21:00:00Z"], "exhausted": false}
//! {"id": 2, "error": {"field": "hour", "message": "..."}}
//! ```

use chrono::{DateTime, FixedOffset, SecondsFormat, SubsecRound};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::{TriggerError, quoted};
use super::schedule::Trigger;
use super::spec::TriggerSpec;
use super::zone::Zone;
use crate::time::Timestamp;

/// How many fire times are given where a request asks for no number.
const DEFAULT_COUNT: usize = 5;
/// How many fire times one request may ask for.
const MAX_COUNT: usize = 100_000;

/// A fire time, the way people want to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upcoming {
    /// The instant.
    pub at: Timestamp,
    /// The same in the trigger's zone, as RFC 3339 with its offset.
    pub local: String,
    /// Whether the zone's offset has changed since the fire time before.
    pub clock_changed: bool,
}

impl Trigger {
    /// What the wall clock of the trigger's zone shows at an instant.
    ///
    /// Told by the rules that the fire times follow, which go on when the tables of the tz database
    /// end.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime<FixedOffset> {
        Zone::new(self.timezone()).local(at)
    }

    /// Walks the schedule that begins with `first`, for as long as `wanted` says yes to a fire time.
    pub fn upcoming(
        &self,
        first: Option<Timestamp>,
        mut wanted: impl FnMut(Timestamp) -> bool,
    ) -> Vec<Upcoming> {
        let zone = Zone::new(self.timezone());
        let mut list: Vec<Upcoming> = Vec::new();
        let mut offset = None;
        let mut next = first;
        while let Some(at) = next.filter(|at| wanted(*at)) {
            let local = zone.local(at);
            let shown = *local.offset();
            list.push(Upcoming {
                at,
                local: local.to_rfc3339_opts(SecondsFormat::AutoSi, false),
                clock_changed: offset.replace(shown).is_some_and(|before| before != shown),
            });
            next = self.next_after(at);
        }
        list
    }
}

/// Answers one line of the preview protocol; `now` and `default_timezone` are used where the request
/// names none. The answer has no line break.
#[must_use]
pub fn answer_line(line: &str, default_timezone: Tz, now: Timestamp) -> String {
    answer(line, default_timezone, now).to_string()
}

fn answer(line: &str, default_timezone: Tz, now: Timestamp) -> Value {
    let mut request = match serde_json::from_str(line) {
        Ok(Value::Object(request)) => request,
        Ok(_) => {
            return refusal(
                &Value::Null,
                &TriggerError::new("request", "is no JSON object"),
            );
        }
        Err(error) => {
            let message = format!("the JSON can't be read: {error}");
            return refusal(&Value::Null, &TriggerError::new("request", message));
        }
    };
    let id = request.remove("id").unwrap_or(Value::Null);
    match fire_times(&mut request, default_timezone, now) {
        Ok((fire_times, exhausted)) => {
            json!({"id": id, "fire_times": fire_times, "exhausted": exhausted})
        }
        Err(error) => refusal(&id, &error),
    }
}

fn refusal(id: &Value, error: &TriggerError) -> Value {
    json!({"id": id, "error": {"field": error.field, "message": error.message}})
}

fn fire_times(
    request: &mut Map<String, Value>,
    default_timezone: Tz,
    now: Timestamp,
) -> Result<(Vec<String>, bool), TriggerError> {
    let timezone = match request.remove("timezone").unwrap_or(Value::Null) {
        Value::Null => default_timezone,
        Value::String(name) => Zone::parse_name(&name)?,
        _ => {
            return Err(TriggerError::new(
                "timezone",
                "give the name of a time zone",
            ));
        }
    };
    let spec = match request.remove("trigger").unwrap_or(Value::Null) {
        Value::Null => return Err(TriggerError::new("trigger", "is missing")),
        Value::String(text) => TriggerSpec::from_text(&text)?,
        value => TriggerSpec::from_value(value)?,
    };
    let trigger = spec.resolve(timezone)?;
    let count = match request.remove("count").unwrap_or(Value::Null) {
        Value::Null => DEFAULT_COUNT,
        value => count(&value)?,
    };
    // A fire time is stored in whole milliseconds, so the one before `previous` may lie in the same.
    // A schedule that begins within a millisecond begins with the next.
    let previous = instant(request, "previous")?.map(Timestamp::from);
    let now = instant(request, "now")?.map_or(now, rounded_up);
    let mut next = match previous {
        Some(previous) => trigger.next_after(previous),
        None => trigger.first(now),
    };
    let mut found = Vec::new();
    while let Some(at) = next
        && found.len() < count
    {
        found.push(at.to_string());
        next = trigger.next_after(at);
    }
    Ok((found, next.is_none()))
}

fn count(value: &Value) -> Result<usize, TriggerError> {
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    count.filter(|count| *count <= MAX_COUNT).ok_or_else(|| {
        let message = format!("{value} is not allowed: give a whole number from 0 to {MAX_COUNT}");
        TriggerError::new("count", message)
    })
}

fn instant(
    request: &mut Map<String, Value>,
    field: &str,
) -> Result<Option<DateTime<chrono::Utc>>, TriggerError> {
    match request.remove(field).unwrap_or(Value::Null) {
        Value::Null => Ok(None),
        Value::String(text) => match DateTime::parse_from_rfc3339(&text) {
            Ok(at) => Ok(Some(at.to_utc())),
            Err(error) => Err(TriggerError::new(
                field,
                format!("{} is no RFC 3339 instant: {error}", quoted(&text)),
            )),
        },
        other => Err(TriggerError::new(
            field,
            format!("{other} is no RFC 3339 instant"),
        )),
    }
}

fn rounded_up(exact: DateTime<chrono::Utc>) -> Timestamp {
    let whole = exact.trunc_subsecs(3);
    let ms = Timestamp::from(whole).as_ms();
    Timestamp::from_ms(if whole < exact { ms + 1 } else { ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &Value) -> Value {
        serde_json::from_str(&answer_line(
            &request.to_string(),
            Tz::UTC,
            Timestamp::EPOCH,
        ))
        .unwrap()
    }

    #[test]
    fn a_request_is_answered_with_fire_times_in_utc() {
        let request = json!({
            "id": "a", "trigger": {"type": "cron", "hour": 5}, "timezone": "Asia/Shanghai",
            "now": "2026-01-01T05:00:00+08:00", "previous": null, "count": 2
        });
        assert_eq!(
            ask(&request),
            json!({
                "id": "a", "exhausted": false,
                "fire_times": ["2025-12-31T21:00:00Z", "2026-01-01T21:00:00Z"]
            })
        );
    }

    #[test]
    fn after_a_previous_fire_time_the_next_one_is_later() {
        let request = json!({
            "id": 1, "trigger": "@hourly", "now": "2026-01-01T00:00:00Z",
            "previous": "2026-01-01T08:00:00Z", "count": 1
        });
        assert_eq!(ask(&request)["fire_times"], json!(["2026-01-01T09:00:00Z"]));
    }

    #[test]
    fn a_schedule_that_is_over_says_so() {
        let request = json!({
            "trigger": {"type": "interval", "seconds": 0.25, "start_date": "2026-01-01",
                        "end_date": "2026-01-01 00:00:00.5"},
            "now": "2026-01-01T00:00:00.000000001Z", "count": 9
        });
        assert_eq!(
            ask(&request),
            json!({
                "id": null, "exhausted": true,
                "fire_times": ["2026-01-01T00:00:00.250Z", "2026-01-01T00:00:00.500Z"]
            })
        );
    }

    #[test]
    fn a_bad_request_is_answered_with_the_field_that_is_wrong() {
        let field = |request: Value| ask(&request)["error"]["field"].clone();
        assert_eq!(
            field(json!({"trigger": {"type": "cron", "hour": 24}})),
            "hour"
        );
        assert_eq!(
            field(json!({"trigger": "@hourly", "timezone": "Mars"})),
            "timezone"
        );
        assert_eq!(
            field(json!({"trigger": "@hourly", "now": "yesterday"})),
            "now"
        );
        assert_eq!(field(json!({"trigger": "@hourly", "count": -1})), "count");
        assert_eq!(field(json!({})), "trigger");
        assert_eq!(field(json!([])), "request");
        let broken = answer_line("{", Tz::UTC, Timestamp::EPOCH);
        assert!(
            broken.contains(r#""field":"request""#) && !broken.contains('\n'),
            "{broken}"
        );
    }

    #[test]
    fn a_change_of_the_clock_is_marked() {
        let trigger = TriggerSpec::from_text("0 12 * * *").unwrap();
        let trigger = trigger.resolve(Tz::Europe__Berlin).unwrap();
        let first = trigger.first("2026-03-28T00:00:00Z".parse().unwrap());
        let mut left = 3;
        let list = trigger.upcoming(first, |_| {
            left -= 1;
            left >= 0
        });
        let shown: Vec<_> = list
            .iter()
            .map(|f| (f.local.as_str(), f.clock_changed))
            .collect();
        assert_eq!(
            shown,
            [
                ("2026-03-28T12:00:00+01:00", false),
                ("2026-03-29T12:00:00+02:00", true),
                ("2026-03-30T12:00:00+02:00", false)
            ]
        );
    }

    #[test]
    fn local_times_follow_the_clock_after_the_tables_end() {
        let trigger = TriggerSpec::from_text("30 5 28 6 *").unwrap();
        let trigger = trigger.resolve(Tz::Europe__Berlin).unwrap();
        let first = trigger.first("2128-01-01T00:00:00Z".parse().unwrap());
        let list = trigger.upcoming(first, |at| Some(at) == first);
        assert_eq!(list[0].local, "2128-06-28T05:30:00+02:00");
        let once = TriggerSpec::from_text("2128-06-28 05:30:00").unwrap();
        let once = once.resolve(Tz::Europe__Berlin).unwrap();
        assert!(
            once.describe().contains("at 05:30:00"),
            "{}",
            once.describe()
        );
    }
}
