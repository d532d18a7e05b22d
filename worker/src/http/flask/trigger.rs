//! From `trigger` and the fields beside it to a trigger.

use chrono_tz::Tz;
use scheduler_core::Timestamp;
use scheduler_core::trigger::{IntervalSpec, Trigger, TriggerSpec};
use serde_json::{Map, Value};

use super::cron;
use super::dates::{self, Moment};
use super::python::{repr, to_str, type_name};
use super::refusal::Refusal;

/// Flat dates, which may be free text.
const DATES: [&str; 3] = ["start_date", "end_date", "run_date"];

/// What a trigger is read against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    /// The zone of triggers that name none.
    pub(super) zone: Tz,
    /// The store's clock.
    pub(super) now: Timestamp,
}

/// Turns flat dates into the strict form, and puts the fields of a trigger object beside the others.
pub(super) fn flatten(body: &mut Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    for field in DATES {
        if let Some(Value::String(text)) = body.get(field) {
            let strict = dates::free_text(text, now)?;
            body.insert(field.to_owned(), Value::String(strict));
        }
    }
    if let Some(Value::Object(trigger)) = body.get("trigger") {
        let mut fields = trigger.clone();
        let kind = fields.remove("type").unwrap_or(Value::from("date"));
        body.insert("trigger".to_owned(), kind);
        body.extend(fields);
    }
    Ok(())
}

/// The kinds that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    Interval,
    Cron,
    CalendarInterval,
}

impl Kind {
    /// The kind that a body's `trigger` names; a date where it names none.
    pub(super) fn read(trigger: Option<&Value>) -> Result<Self, Refusal> {
        match trigger {
            None | Some(Value::Null) => Ok(Self::Date),
            Some(Value::String(name)) => match name.as_str() {
                "date" => Ok(Self::Date),
                "interval" => Ok(Self::Interval),
                "cron" => Ok(Self::Cron),
                "calendarinterval" => Ok(Self::CalendarInterval),
                _ => Err(Refusal::invalid(format!(
                    "No trigger by the name \"{name}\" was found"
                ))),
            },
            Some(other) => Err(Refusal::invalid(format!(
                "Expected a trigger instance or string, got {} instead",
                type_name(other)
            ))),
        }
    }

    /// Its fields.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Date => &["run_date", "timezone"],
            Self::Interval => &[
                "weeks",
                "days",
                "hours",
                "minutes",
                "seconds",
                "start_date",
                "end_date",
                "timezone",
                "jitter",
            ],
            Self::Cron => &[
                "year",
                "month",
                "day",
                "week",
                "day_of_week",
                "hour",
                "minute",
                "second",
                "start_date",
                "end_date",
                "timezone",
                "jitter",
            ],
            Self::CalendarInterval => &[
                "years",
                "months",
                "weeks",
                "days",
                "hour",
                "minute",
                "second",
                "start_date",
                "end_date",
                "timezone",
                "jitter",
            ],
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Date => "DateTrigger",
            Self::Interval => "IntervalTrigger",
            Self::Cron => "CronTrigger",
            Self::CalendarInterval => "CalendarIntervalTrigger",
        }
    }

    /// The trigger of these fields.
    pub(super) fn trigger(
        self,
        fields: &Map<String, Value>,
        moments: Moments,
    ) -> Result<Trigger, Refusal> {
        if let Some(field) = fields
            .keys()
            .find(|field| !self.fields().contains(&field.as_str()))
        {
            let class = self.class();
            return Err(Refusal::invalid(format!(
                "{class}.__init__() got an unexpected keyword argument '{field}'"
            )));
        }
        let zone = zone(fields.get("timezone"), moments.zone)?;
        let at = Moments { zone, ..moments };
        let mut spec = match self {
            Self::Date => date(fields, at)?,
            Self::Interval => interval(fields, at)?,
            Self::Cron => cron(fields, at)?,
            Self::CalendarInterval => calendar(fields, at)?,
        };
        spec.insert("timezone".to_owned(), Value::from(zone.name()));
        if let Some(jitter) = fields.get("jitter").filter(|jitter| !jitter.is_null()) {
            if !jitter.is_number() {
                return Err(Refusal::invalid("jitter must be a number of seconds"));
            }
            spec.insert("jitter".to_owned(), jitter.clone());
        }
        let resolved =
            TriggerSpec::from_value(Value::Object(spec)).and_then(|spec| spec.resolve(zone));
        resolved.map_err(|error| Refusal::invalid(format!("{}: {}", error.field, error.message)))
    }
}

fn zone(named: Option<&Value>, default: Tz) -> Result<Tz, Refusal> {
    match named {
        None | Some(Value::Null) => Ok(default),
        Some(Value::String(name)) => name.parse().map_err(|_| {
            let message = format!("No time zone found with key {name}");
            Refusal::invalid(repr(&message))
        }),
        Some(other) => Err(Refusal::invalid(format!(
            "Expected tzinfo, got {} instead",
            type_name(other)
        ))),
    }
}

fn typed(kind: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), Value::from(kind))])
}

/// Adds the dates of these names that are there.
fn add_dates(
    spec: &mut Map<String, Value>,
    fields: &Map<String, Value>,
    names: &[&str],
    zone: Tz,
) -> Result<(), Refusal> {
    for name in names {
        if let Some(text) = dates::of_trigger(name, fields.get(*name), zone)? {
            spec.insert((*name).to_owned(), Value::String(text));
        }
    }
    Ok(())
}

fn date(fields: &Map<String, Value>, at: Moments) -> Result<Map<String, Value>, Refusal> {
    let mut spec = typed("date");
    add_dates(&mut spec, fields, &["run_date"], at.zone)?;
    // Spelled out, so that it can be shown and does not move with a change of the job.
    let now = || Value::from(Moment::in_zone(at.now, at.zone).isoformat());
    spec.entry("run_date").or_insert_with(now);
    Ok(spec)
}

fn interval(fields: &Map<String, Value>, at: Moments) -> Result<Map<String, Value>, Refusal> {
    let mut spec = typed("interval");
    for name in ["weeks", "days", "hours", "minutes", "seconds"] {
        let Some(value) = fields.get(name) else {
            continue;
        };
        let number = match value {
            Value::Number(_) => value.clone(),
            Value::Bool(truth) => Value::from(u8::from(*truth)),
            other => {
                return Err(Refusal::invalid(format!(
                    "unsupported type for timedelta {name} component: {}",
                    type_name(other)
                )));
            }
        };
        if number.as_f64() != Some(0.0) {
            spec.insert(name.to_owned(), number);
        }
    }
    add_dates(&mut spec, fields, &["start_date", "end_date"], at.zone)?;
    if !spec.contains_key("start_date") {
        // The grid begins one interval from now, as it does where nobody says so; spelled out, so
        // that it can be shown and survives a pause.
        let spec_so_far = TriggerSpec::from_value(Value::Object(spec.clone()));
        let every = match &spec_so_far {
            Ok(TriggerSpec::Interval(interval)) => micros(interval),
            _ => 0,
        };
        let start = Timestamp::from_ms(at.now.as_ms().saturating_add(every / 1000));
        let start = start.min(Timestamp::MAX);
        let start = Moment::in_zone(start, at.zone).isoformat();
        spec.insert("start_date".to_owned(), Value::String(start));
    }
    Ok(spec)
}

/// The length of an interval, as Python's `timedelta` adds it up; one second where there is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a length that is too long is refused where the trigger is made"
)]
pub(super) fn micros(interval: &IntervalSpec) -> i64 {
    let parts = [
        (interval.weeks, 604_800.0),
        (interval.days, 86_400.0),
        (interval.hours, 3600.0),
        (interval.minutes, 60.0),
        (interval.seconds, 1.0),
    ];
    if parts.iter().all(|(value, _)| value.is_none()) {
        return 1_000_000;
    }
    let micros =
        |(value, unit): (Option<f64>, f64)| (value.unwrap_or(0.0) * unit * 1e6).round_ties_even();
    parts.into_iter().map(micros).sum::<f64>() as i64
}

fn cron(fields: &Map<String, Value>, at: Moments) -> Result<Map<String, Value>, Refusal> {
    let mut spec = typed("cron");
    for (name, ..) in cron::FIELDS {
        if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
            let text = cron::normalized(name, &to_str(value))?;
            spec.insert(name.to_owned(), Value::String(text));
        }
    }
    add_dates(&mut spec, fields, &["start_date", "end_date"], at.zone)?;
    Ok(spec)
}

fn calendar(fields: &Map<String, Value>, at: Moments) -> Result<Map<String, Value>, Refusal> {
    let mut spec = typed("calendar_interval");
    let mut is_empty = true;
    for name in ["years", "months", "weeks", "days"] {
        if let Some(value) = fields.get(name) {
            is_empty &= value.as_i64() == Some(0);
            spec.insert(name.to_owned(), value.clone());
        }
    }
    if is_empty {
        return Err(Refusal::invalid("interval must be at least 1 day long"));
    }
    for name in ["hour", "minute", "second"] {
        if let Some(value) = fields.get(name) {
            spec.insert(name.to_owned(), value.clone());
        }
    }
    add_dates(&mut spec, fields, &["start_date", "end_date"], at.zone)?;
    for name in ["start_date", "end_date"] {
        // A flat date came out of free text with a time of day, which means nothing here.
        if let Some(Value::String(text)) = spec.get_mut(name) {
            text.truncate(10);
        }
    }
    let today = || Value::from(&Moment::in_zone(at.now, at.zone).isoformat()[..10]);
    spec.entry("start_date").or_insert_with(today);
    if spec.get("end_date").and_then(Value::as_str) < spec.get("start_date").and_then(Value::as_str)
        && spec.contains_key("end_date")
    {
        return Err(Refusal::invalid(
            "end_date cannot be earlier than start_date",
        ));
    }
    Ok(spec)
}
