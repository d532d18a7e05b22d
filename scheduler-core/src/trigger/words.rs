//! A trigger in words.

use chrono::Weekday;

use super::combine::{Combined, Logic};
use super::rule::Rule;
use super::schedule::Trigger;
use super::spec::{CalendarIntervalSpec, ExcludeSpec, TriggerSpec};
use crate::time::Timestamp;

impl Trigger {
    /// The trigger in words: `at 05:30, Monday to Friday, Asia/Shanghai`.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.spec().is_never() {
            return "never by itself".to_owned();
        }
        let mut words = self.rule_in_words();
        let (start, end, exclude) = bounds(self.spec());
        if let Some(start) = start {
            words += &format!(", from {start}");
        }
        if let Some(end) = end {
            words += &format!(", until {end}");
        }
        if !matches!(self.rule(), Rule::Combined(_)) {
            words += &format!(", {}", self.timezone());
        }
        if !exclude.is_empty() {
            let exclude: Vec<_> = exclude.iter().map(exclusion_in_words).collect();
            words += &format!(", except {}", exclude.join(" and "));
        }
        if let Some(jitter) = self.jitter().filter(|jitter| !jitter.is_zero()) {
            words += &format!(", up to {} later", humantime::format_duration(jitter));
        }
        words
    }

    fn rule_in_words(&self) -> String {
        match self.rule() {
            Rule::Date(None) => "once, when it is scheduled".to_owned(),
            Rule::Date(Some(at)) => format!("once, on {}", self.date_in_words(*at)),
            Rule::Interval(interval) => {
                let micros = u64::try_from(interval.every_us()).unwrap_or(0);
                let length = std::time::Duration::from_micros(micros);
                format!("every {}", humantime::format_duration(length))
            }
            Rule::Cron(cron) => cron.words(),
            Rule::Calendar(_) => match self.spec() {
                TriggerSpec::CalendarInterval(spec) => calendar_in_words(spec),
                _ => String::new(),
            },
            Rule::Combined(Combined { triggers, .. }) if triggers.is_empty() => "never".to_owned(),
            Rule::Combined(Combined { logic, triggers }) => {
                let parts: Vec<_> = triggers
                    .iter()
                    .map(|part| format!("({})", part.describe()))
                    .collect();
                match logic {
                    Logic::All => format!(
                        "whenever all of these fire at once: {}",
                        parts.join(" and ")
                    ),
                    Logic::Any => parts.join(" or "),
                }
            }
        }
    }

    fn date_in_words(&self, at: Timestamp) -> String {
        let local = self.local(at);
        let weekday: Weekday = chrono::Datelike::weekday(&local);
        format!("{weekday} {}", local.format("%Y-%m-%d at %H:%M:%S%.f"))
    }
}

fn bounds(spec: &TriggerSpec) -> (Option<&str>, Option<&str>, &[ExcludeSpec]) {
    match spec {
        TriggerSpec::Date(spec) => (None, None, &spec.exclude),
        TriggerSpec::Interval(spec) => (
            spec.start_date.as_deref(),
            spec.end_date.as_deref(),
            &spec.exclude,
        ),
        TriggerSpec::Cron(spec) => (
            spec.start_date.as_deref(),
            spec.end_date.as_deref(),
            &spec.exclude,
        ),
        TriggerSpec::CalendarInterval(spec) => (
            spec.start_date.as_deref(),
            spec.end_date.as_deref(),
            &spec.exclude,
        ),
        TriggerSpec::And(spec) | TriggerSpec::Or(spec) => (None, None, &spec.exclude),
    }
}

fn calendar_in_words(spec: &CalendarIntervalSpec) -> String {
    let parts = [
        ("year", spec.years),
        ("month", spec.months),
        ("week", spec.weeks),
        ("day", spec.days),
    ];
    let step: Vec<_> = parts
        .into_iter()
        .filter_map(|(unit, value)| match value.filter(|value| *value != 0)? {
            1 => Some(unit.to_owned()),
            value => Some(format!("{value} {unit}s")),
        })
        .collect();
    let (hour, minute) = (spec.hour.unwrap_or(0), spec.minute.unwrap_or(0));
    let second = spec.second.filter(|second| *second != 0);
    let second = second.map_or_else(String::new, |second| format!(":{second:02}"));
    format!(
        "every {} at {hour:02}:{minute:02}{second}",
        step.join(" and ")
    )
}

fn exclusion_in_words(exclude: &ExcludeSpec) -> String {
    match exclude {
        ExcludeSpec::Text(text) if super::cron::looks_like_cron(text) => {
            format!("while {text:?} matches")
        }
        ExcludeSpec::Text(text) => format!("on {text}"),
        ExcludeSpec::Range {
            start_date,
            end_date,
        } => format!("from {start_date} to {end_date}"),
    }
}
