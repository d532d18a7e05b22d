//! From what was typed to a trigger, and to the stretch of time that it is asked about.

use carillon::config::Settings;
use carillon::core::Timestamp;
use carillon::core::trigger::{DateSpec, Trigger, TriggerError, TriggerSpec};
use carillon::preview::Stretch;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::Value;

use super::super::args::Global;
use super::super::failure::Failure;
use super::PreviewArgs;
use super::pointer::pointed;

impl PreviewArgs {
    /// The zone of triggers that name none.
    pub(super) fn zone(&self, global: &Global) -> Result<Tz, Failure> {
        let Some(name) = &self.timezone else {
            let config = global.overrides().config;
            return Ok(Settings::load_timezone(config.as_deref())?);
        };
        // A trigger knows best what is wrong with the name of a zone.
        let spec = TriggerSpec::Date(DateSpec {
            timezone: Some(name.clone()),
            ..DateSpec::default()
        });
        let trigger = spec.resolve(Tz::UTC);
        Ok(trigger.map_err(|e| typed_in("--timezone", e))?.timezone())
    }

    /// The trigger, in the zone of `--timezone` if there is one, as a job would be added with it.
    pub(super) fn trigger(&self, global: &Global) -> Result<Trigger, Failure> {
        let zone = self.zone(global)?;
        let text = self.trigger.as_deref().unwrap_or_default();
        let mut spec = TriggerSpec::from_text(text).map_err(|e| wrong(&pointed(text, e)))?;
        if let Some(name) = &self.timezone
            && let Ok(mut value) = serde_json::to_value(&spec)
        {
            value["timezone"] = Value::String(name.clone());
            spec = TriggerSpec::from_value(value).map_err(|e| wrong(&e))?;
        }
        spec.resolve(zone).map_err(|e| wrong(&e))
    }

    /// What `--between` says, or from `--after` on, or from `now` on.
    pub(super) fn stretch(&self, trigger: &Trigger, now: Timestamp) -> Result<Stretch, Failure> {
        let zone = trigger.timezone();
        let Some([from, to]) = self.between.as_deref() else {
            let from = self
                .after
                .as_deref()
                .map(|text| start("--after", text, zone));
            let from = from.transpose()?.unwrap_or(now);
            return Ok(Stretch { from, to: None });
        };
        let stretch = Stretch {
            from: start("--between", from, zone)?,
            to: Some(end("--between", to, zone)?),
        };
        if stretch.to < Some(stretch.from) {
            let message = format!("--between: {to:?} lies before {from:?}");
            return Err(Failure::Usage(message));
        }
        Ok(stretch)
    }
}

/// The instant that a text means, read as the date of a trigger is.
fn start(flag: &str, text: &str, zone: Tz) -> Result<Timestamp, Failure> {
    let spec = TriggerSpec::Date(DateSpec {
        run_date: Some(text.to_owned()),
        ..DateSpec::default()
    });
    let date = spec.resolve(zone).map_err(|e| typed_in(flag, e))?;
    Ok(date.first(Timestamp::EPOCH).unwrap_or(Timestamp::MAX))
}

/// The same of a text that ends a stretch: a date means its last millisecond.
fn end(flag: &str, text: &str, zone: Tz) -> Result<Timestamp, Failure> {
    let next_day = text.parse().ok().and_then(|day: NaiveDate| day.succ_opt());
    match next_day {
        Some(day) => {
            let midnight = start(flag, &day.to_string(), zone)?;
            Ok(Timestamp::from_ms(midnight.as_ms() - 1))
        }
        None => start(flag, text, zone),
    }
}

fn wrong(error: &TriggerError) -> Failure {
    Failure::Usage(error.to_string())
}

fn typed_in(flag: &str, error: TriggerError) -> Failure {
    wrong(&TriggerError {
        field: flag.to_owned(),
        ..error
    })
}
