//! From a trigger as typed to one that can be asked.

use chrono_tz::Tz;

use super::calendar::CalendarInterval;
use super::combine::{Combined, Logic};
use super::cron::Cron;
use super::error::TriggerError;
use super::exclude::Exclusions;
use super::interval::Interval;
use super::moment::Moment;
use super::rule::Rule;
use super::schedule::Trigger;
use super::spec::{CombinedSpec, DateSpec, ExcludeSpec, TriggerSpec};
use super::zone::Zone;

impl TriggerSpec {
    /// Checks the fields and settles the time zone (`default_timezone` where the spec names none).
    ///
    /// # Errors
    ///
    /// Names the field, the value and the rule that it breaks.
    pub fn resolve(&self, default_timezone: Tz) -> Result<Trigger, TriggerError> {
        let mut spec = self.clone();
        let timezone = spec.timezone_mut();
        let tz = timezone
            .as_deref()
            .map_or(Ok(default_timezone), Zone::parse_name)?;
        *timezone = Some(tz.name().to_owned());
        let zone = Zone::new(tz);
        let rule = match &mut spec {
            Self::Date(date) => Rule::Date(Moment::instant(
                "run_date",
                date.run_date.as_deref(),
                &zone,
            )?),
            Self::Interval(interval) => Rule::Interval(Interval::new(interval, &zone)?),
            Self::Cron(cron) => Rule::Cron(Box::new(Cron::new(cron, zone)?)),
            Self::CalendarInterval(spec) => Rule::Calendar(CalendarInterval::new(spec, zone)?),
            Self::And(spec) => Rule::Combined(combined(Logic::All, spec, tz)?),
            Self::Or(spec) => Rule::Combined(combined(Logic::Any, spec, tz)?),
        };
        let (jitter, exclude) = spec.delay_and_exclusions();
        let jitter = jitter.map(|seconds| {
            crate::duration::from_seconds(seconds)
                .map_err(|message| TriggerError::new("jitter", message))
        });
        let exclude = Exclusions::new(exclude, zone)?;
        Ok(Trigger::new(rule, tz, jitter.transpose()?, exclude, spec))
    }

    fn timezone_mut(&mut self) -> &mut Option<String> {
        match self {
            Self::Date(spec) => &mut spec.timezone,
            Self::Interval(spec) => &mut spec.timezone,
            Self::Cron(spec) => &mut spec.timezone,
            Self::CalendarInterval(spec) => &mut spec.timezone,
            Self::And(spec) | Self::Or(spec) => &mut spec.timezone,
        }
    }

    fn delay_and_exclusions(&self) -> (Option<f64>, &[ExcludeSpec]) {
        match self {
            Self::Date(spec) => (None, &spec.exclude),
            Self::Interval(spec) => (spec.jitter, &spec.exclude),
            Self::Cron(spec) => (spec.jitter, &spec.exclude),
            Self::CalendarInterval(spec) => (spec.jitter, &spec.exclude),
            Self::And(spec) | Self::Or(spec) => (spec.jitter, &spec.exclude),
        }
    }
}

/// Resolves the parts, and spells their zones out too.
fn combined(logic: Logic, spec: &mut CombinedSpec, tz: Tz) -> Result<Combined, TriggerError> {
    let mut triggers = Vec::with_capacity(spec.triggers.len());
    for (number, part) in spec.triggers.iter_mut().enumerate() {
        let place = format!("triggers[{number}]");
        if let TriggerSpec::Date(DateSpec { run_date: None, .. }) = part {
            let message = "is missing: a date among several triggers needs one";
            return Err(TriggerError::new(format!("{place}.run_date"), message));
        }
        let trigger = part.resolve(tz).map_err(|error| error.within(place))?;
        *part = trigger.spec().clone();
        triggers.push(trigger);
    }
    Ok(Combined { logic, triggers })
}
