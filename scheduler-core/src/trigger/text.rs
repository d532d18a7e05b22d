//! Triggers as one text, the way a command line takes them.

use std::str::FromStr;

use super::error::TriggerError;
use super::moment::Moment;
use super::spec::{DateSpec, IntervalSpec, TriggerSpec};
use crate::duration;

impl TriggerSpec {
    /// Reads a trigger from one text: a JSON object, `every 10s`, or an instant such as
    /// `2026-12-24T18:00:00+01:00`.
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
        Moment::parse("trigger", trimmed)?;
        Ok(Self::Date(DateSpec {
            run_date: Some(trimmed.to_owned()),
            timezone: None,
        }))
    }
}

impl FromStr for TriggerSpec {
    type Err = TriggerError;

    fn from_str(text: &str) -> Result<Self, TriggerError> {
        Self::from_text(text)
    }
}
