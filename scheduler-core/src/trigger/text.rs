//! Triggers as one text, the way a command line takes them.

use std::str::FromStr;

use super::cron::looks_like_cron;
use super::error::TriggerError;
use super::moment::Moment;
use super::spec::{CronSpec, DateSpec, IntervalSpec, TriggerSpec};
use crate::duration;

impl TriggerSpec {
    /// Reads a trigger from one text: a JSON object, a cron expression (five to seven fields, or
    /// `@daily`), `every 10s`, or an instant such as `2026-12-24T18:00:00+01:00`.
    ///
    /// # Errors
    ///
    /// Says which form the text was taken for, and what is wrong with it.
    pub fn from_text(text: &str) -> Result<Self, TriggerError> {
        let trimmed = text.trim();
        if trimmed.starts_with('{') {
            let value = serde_json::from_str(trimmed).map_err(|error| {
                TriggerError::new("trigger", format!("the JSON can't be read: {error}"))
            })?;
            return Self::from_value(value);
        }
        if let Some(length) = trimmed.strip_prefix("every ") {
            let length =
                duration::parse(length).map_err(|message| TriggerError::new("every", message))?;
            return Ok(Self::Interval(IntervalSpec {
                seconds: Some(length.as_secs_f64()),
                ..IntervalSpec::default()
            }));
        }
        if looks_like_cron(trimmed) {
            let expression = Some(trimmed.to_owned());
            return Ok(Self::Cron(CronSpec {
                expression,
                ..CronSpec::default()
            }));
        }
        Moment::parse("trigger", trimmed).map_err(|error| {
            let at = error.pointer.map_or(0, |pointer| pointer.characters);
            let why = "no trigger. Allowed are a JSON object, a cron expression such as \
                       \"*/5 * * * *\", \"every 10s\", and an instant such as \
                       \"2026-12-24T18:00:00+01:00\"";
            TriggerError::in_text("trigger", trimmed, at, why)
        })?;
        Ok(Self::Date(DateSpec {
            run_date: Some(trimmed.to_owned()),
            ..DateSpec::default()
        }))
    }
}

impl FromStr for TriggerSpec {
    type Err = TriggerError;

    fn from_str(text: &str) -> Result<Self, TriggerError> {
        Self::from_text(text)
    }
}
