//! A trigger in short, as APScheduler shows it: `cron[hour='5', minute='30']`.

use std::fmt;

use super::spec::{CronSpec, IntervalSpec, TriggerSpec};

impl fmt::Display for TriggerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => write!(f, "date[{}]", date.run_date.as_deref().unwrap_or("now")),
            Self::Interval(interval) => write!(f, "interval[{}]", lengths(interval)),
            Self::Cron(cron) => write!(f, "cron[{}]", cron_fields(cron)),
        }
    }
}

fn lengths(spec: &IntervalSpec) -> String {
    let parts = [
        ("weeks", spec.weeks),
        ("days", spec.days),
        ("hours", spec.hours),
        ("minutes", spec.minutes),
        ("seconds", spec.seconds),
    ];
    let given: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
        .collect();
    if given.is_empty() {
        "seconds=1".to_owned()
    } else {
        given.join(", ")
    }
}

fn cron_fields(spec: &CronSpec) -> String {
    let names = [
        "year",
        "month",
        "day",
        "week",
        "day_of_week",
        "hour",
        "minute",
        "second",
    ];
    let given: Vec<_> = names
        .iter()
        .zip(spec.fields())
        .filter_map(|(name, text)| text.map(|text| format!("{name}='{text}'")))
        .collect();
    given.join(", ")
}
