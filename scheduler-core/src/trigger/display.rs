//! A trigger in short, as APScheduler shows it: `cron[hour='5', minute='30']`.

use std::fmt;

use super::spec::{CalendarIntervalSpec, CombinedSpec, CronSpec, IntervalSpec, TriggerSpec};

impl fmt::Display for TriggerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => write!(f, "date[{}]", date.run_date.as_deref().unwrap_or("now")),
            Self::Interval(interval) => write!(f, "interval[{}]", lengths(interval)),
            Self::Cron(cron) => write!(f, "cron[{}]", cron_fields(cron)),
            Self::CalendarInterval(calendar) => {
                write!(f, "calendar_interval[{}]", calendar_fields(calendar))
            }
            Self::And(combined) => write!(f, "and[{}]", parts(combined)),
            never if never.is_never() => f.write_str("never"),
            Self::Or(combined) => write!(f, "or[{}]", parts(combined)),
        }
    }
}

fn lengths(spec: &IntervalSpec) -> String {
    let given = named([
        ("weeks", spec.weeks),
        ("days", spec.days),
        ("hours", spec.hours),
        ("minutes", spec.minutes),
        ("seconds", spec.seconds),
    ]);
    if given.is_empty() {
        "seconds=1".to_owned()
    } else {
        given
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
        .chain(spec.expression.iter().map(|text| format!("'{text}'")))
        .collect();
    given.join(", ")
}

fn calendar_fields(spec: &CalendarIntervalSpec) -> String {
    let step = named([
        ("years", spec.years),
        ("months", spec.months),
        ("weeks", spec.weeks),
        ("days", spec.days),
    ]);
    let part = |value: Option<i32>| value.unwrap_or(0);
    let (hour, minute, second) = (part(spec.hour), part(spec.minute), part(spec.second));
    format!("{step}, time='{hour:02}:{minute:02}:{second:02}'")
}

fn parts(spec: &CombinedSpec) -> String {
    spec.triggers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn named<const N: usize, V: fmt::Display>(parts: [(&str, Option<V>); N]) -> String {
    let given: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
        .collect();
    given.join(", ")
}
