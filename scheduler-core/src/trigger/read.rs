//! Reading a trigger as typed out of a map of named values.
//!
//! The values pass through `serde_json::Value`, so that TOML, JSON and MessagePack are read by the
//! same rules, and each field can be refused by its name.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::error::{TriggerError, near, quoted};
use super::spec::{
    CalendarIntervalSpec, CombinedSpec, CronSpec, DateSpec, Dst, ExcludeSpec, IntervalSpec,
    TriggerSpec,
};

const TYPES: [&str; 6] = ["date", "interval", "cron", "calendar_interval", "and", "or"];
/// How deep triggers may be nested, and how many may be listed, so that none asks for too much.
const MAX_DEPTH: usize = 4;
const MAX_LISTED: usize = 100;
/// How the `toml` crate shows its dates and times to other formats.
const TOML_DATETIME: &str = "$__toml_private_datetime";

impl<'de> Deserialize<'de> for TriggerSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl TriggerSpec {
    /// Reads a trigger out of a JSON object.
    ///
    /// # Errors
    ///
    /// Names the field that is unknown, missing, or of the wrong kind.
    pub fn from_value(value: Value) -> Result<Self, TriggerError> {
        Self::nested(value, MAX_DEPTH)
    }

    fn nested(value: Value, depth: usize) -> Result<Self, TriggerError> {
        let Value::Object(map) = value else {
            return Err(TriggerError::new(
                "trigger",
                format!(
                    "{} is no trigger: give an object such as {{\"type\": \"interval\", \"seconds\": 10}}",
                    shown(&value)
                ),
            ));
        };
        let mut fields = Fields {
            map,
            known: Vec::new(),
        };
        let kind = fields.text("type")?;
        let Some(kind) = kind else {
            return Err(TriggerError::new(
                "type",
                format!("is missing; allowed are {}", TYPES.join(", ")),
            ));
        };
        let spec = match kind.as_str() {
            "date" => Self::Date(DateSpec {
                run_date: fields.date("run_date")?,
                timezone: fields.text("timezone")?,
                exclude: fields.exclude("exclude")?,
            }),
            "interval" => Self::Interval(IntervalSpec {
                weeks: fields.number("weeks")?,
                days: fields.number("days")?,
                hours: fields.number("hours")?,
                minutes: fields.number("minutes")?,
                seconds: fields.number("seconds")?,
                start_date: fields.date("start_date")?,
                end_date: fields.date("end_date")?,
                timezone: fields.text("timezone")?,
                jitter: fields.seconds("jitter")?,
                exclude: fields.exclude("exclude")?,
            }),
            "cron" => Self::Cron(CronSpec {
                expression: fields.text("expression")?,
                year: fields.cron("year")?,
                month: fields.cron("month")?,
                day: fields.cron("day")?,
                week: fields.cron("week")?,
                day_of_week: fields.cron("day_of_week")?,
                hour: fields.cron("hour")?,
                minute: fields.cron("minute")?,
                second: fields.cron("second")?,
                start_date: fields.date("start_date")?,
                end_date: fields.date("end_date")?,
                timezone: fields.text("timezone")?,
                jitter: fields.seconds("jitter")?,
                dst: fields.dst("dst")?,
                exclude: fields.exclude("exclude")?,
            }),
            // APScheduler writes it in one word.
            "calendar_interval" | "calendarinterval" => {
                Self::CalendarInterval(CalendarIntervalSpec {
                    years: fields.whole("years")?,
                    months: fields.whole("months")?,
                    weeks: fields.whole("weeks")?,
                    days: fields.whole("days")?,
                    hour: fields.whole("hour")?,
                    minute: fields.whole("minute")?,
                    second: fields.whole("second")?,
                    start_date: fields.date("start_date")?,
                    end_date: fields.date("end_date")?,
                    timezone: fields.text("timezone")?,
                    jitter: fields.seconds("jitter")?,
                    dst: fields.dst("dst")?,
                    exclude: fields.exclude("exclude")?,
                })
            }
            "and" => Self::And(fields.combined(depth)?),
            "or" => Self::Or(fields.combined(depth)?),
            other => {
                let hint = suggestion(other, TYPES);
                let message = format!(
                    "{} is no trigger; allowed are {}{hint}",
                    quoted(other),
                    TYPES.join(", ")
                );
                return Err(TriggerError::new("type", message));
            }
        };
        fields.finish(&kind)?;
        Ok(spec)
    }
}

/// The fields that have not been read yet, and the names that were asked for.
struct Fields {
    map: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.map.remove(field).filter(|value| !value.is_null())
    }

    fn text(&mut self, field: &'static str) -> Result<Option<String>, TriggerError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(field, &other, "a text")),
        }
    }

    fn date(&mut self, field: &'static str) -> Result<Option<String>, TriggerError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Object(map)) if map.contains_key(TOML_DATETIME) => Ok(map
                .get(TOML_DATETIME)
                .and_then(Value::as_str)
                .map(str::to_owned)),
            Some(other) => Err(wrong(
                field,
                &other,
                "a date such as \"2026-12-24 18:00:00\"",
            )),
        }
    }

    fn number(&mut self, field: &'static str) -> Result<Option<f64>, TriggerError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => Err(wrong(field, &other, "a number")),
        }
    }

    /// Seconds as a number, or a text such as "15m".
    fn seconds(&mut self, field: &'static str) -> Result<Option<f64>, TriggerError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        let seconds = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => crate::duration::parse(text).ok().map(|d| d.as_secs_f64()),
            _ => None,
        };
        match seconds {
            Some(seconds) if seconds >= 0.0 => Ok(Some(seconds)),
            _ => Err(wrong(
                field,
                &value,
                "seconds (0 or more), or a text such as \"15m\"",
            )),
        }
    }

    /// A cron field: a text, or a whole number.
    fn cron(&mut self, field: &'static str) -> Result<Option<String>, TriggerError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            Some(other) => Err(wrong(
                field,
                &other,
                "a whole number, or a text such as \"*/5\"",
            )),
        }
    }

    fn dst(&mut self, field: &'static str) -> Result<Option<Dst>, TriggerError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) if text == "once" => Ok(Some(Dst::Once)),
            Some(Value::String(text)) if text == "wall" => Ok(Some(Dst::Wall)),
            Some(other) => Err(wrong(field, &other, "\"once\" or \"wall\"")),
        }
    }

    fn whole(&mut self, field: &'static str) -> Result<Option<i32>, TriggerError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        let whole = value.as_i64().and_then(|whole| i32::try_from(whole).ok());
        whole
            .map(Some)
            .ok_or_else(|| wrong(field, &value, "a whole number"))
    }

    fn combined(&mut self, depth: usize) -> Result<CombinedSpec, TriggerError> {
        if depth == 0 {
            let message = format!("triggers are nested too deep: at most {MAX_DEPTH} levels");
            return Err(TriggerError::new("triggers", message));
        }
        let triggers = match self.take("triggers") {
            Some(Value::Array(triggers)) if triggers.len() <= MAX_LISTED => triggers,
            Some(Value::Array(_)) => {
                let message = format!("there are too many: at most {MAX_LISTED}");
                return Err(TriggerError::new("triggers", message));
            }
            Some(other) => return Err(wrong("triggers", &other, "a list of triggers")),
            None => {
                return Err(TriggerError::new(
                    "triggers",
                    "is missing: give a list of triggers",
                ));
            }
        };
        let triggers = triggers.into_iter().enumerate().map(|(number, value)| {
            TriggerSpec::nested(value, depth - 1)
                .map_err(|error| error.within(format!("triggers[{number}]")))
        });
        Ok(CombinedSpec {
            triggers: triggers.collect::<Result<_, _>>()?,
            timezone: self.text("timezone")?,
            jitter: self.seconds("jitter")?,
            exclude: self.exclude("exclude")?,
        })
    }

    /// One exclusion, or a list of them.
    fn exclude(&mut self, field: &'static str) -> Result<Vec<ExcludeSpec>, TriggerError> {
        let listed = match self.take(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(listed)) if listed.len() <= MAX_LISTED => listed,
            Some(Value::Array(_)) => {
                let message = format!("there are too many: at most {MAX_LISTED}");
                return Err(TriggerError::new(field, message));
            }
            Some(one) => vec![one],
        };
        let read = |(number, value): (usize, Value)| {
            let place = format!("{field}[{number}]");
            match value {
                Value::String(text) => Ok(ExcludeSpec::Text(text)),
                Value::Object(map) if map.contains_key(TOML_DATETIME) => {
                    Ok(ExcludeSpec::Text(toml_datetime(&map)))
                }
                Value::Object(map) => range(map).map_err(|error| error.within(place)),
                other => Err(wrong(
                    &place,
                    &other,
                    "a date, a range {\"start_date\": .., \"end_date\": ..}, or a cron expression",
                )),
            }
        };
        listed.into_iter().enumerate().map(read).collect()
    }

    /// Refuses what is left.
    fn finish(self, kind: &str) -> Result<(), TriggerError> {
        let Some((name, _)) = self.map.iter().next() else {
            return Ok(());
        };
        let known = self.known.join(", ");
        let hint = suggestion(name, self.known);
        Err(TriggerError::new(
            name.chars().take(64).collect::<String>(),
            format!("is no field of a trigger of type {kind:?}{hint}; its fields are {known}"),
        ))
    }
}

fn range(map: Map<String, Value>) -> Result<ExcludeSpec, TriggerError> {
    let mut fields = Fields {
        map,
        known: Vec::new(),
    };
    let (start_date, end_date) = (fields.date("start_date")?, fields.date("end_date")?);
    fields.finish("exclude")?;
    match (start_date, end_date) {
        (Some(start_date), Some(end_date)) => Ok(ExcludeSpec::Range {
            start_date,
            end_date,
        }),
        (None, _) => Err(TriggerError::new("start_date", "is missing")),
        (_, None) => Err(TriggerError::new("end_date", "is missing")),
    }
}

fn toml_datetime(map: &Map<String, Value>) -> String {
    map.get(TOML_DATETIME)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn suggestion<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    near(typed, known, 1)
        .first()
        .map(|near| format!(" (did you mean {near:?}?)"))
        .unwrap_or_default()
}

fn wrong(field: &str, value: &Value, wanted: &str) -> TriggerError {
    TriggerError::new(
        field,
        format!("{} is not allowed: give {wanted}", shown(value)),
    )
}

/// A value, short enough for one line.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}
