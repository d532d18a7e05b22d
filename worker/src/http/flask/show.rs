//! A job as the original shows it.

use chrono_tz::Tz;
use scheduler_core::trigger::{
    CalendarIntervalSpec, CronSpec, DateSpec, IntervalSpec, TriggerSpec,
};
use scheduler_core::{Grace, Job, JobState, StoredJob, Timestamp};
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::cron::FIELDS;
use super::dates::{self, Moment};
use super::trigger::micros;

/// What is shown of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) job: Job,
    pub(super) next: Option<Moment>,
}

impl Shown {
    pub(super) fn of(stored: &StoredJob) -> Self {
        let next = stored.next_fire;
        Self::new(stored.job.clone(), next)
    }

    pub(super) fn new(job: Job, next: Option<Timestamp>) -> Self {
        let next = next.map(|at| next_moment(&job, at));
        Self { job, next }
    }

    /// Where it stands in a list: what runs next comes first, what is paused last.
    pub(super) fn order(&self) -> (Timestamp, &str) {
        let never = Timestamp::from_ms(i64::MAX);
        let at = self.next.map_or(never, |next| next.at);
        (at, self.job.id().as_str())
    }

    pub(super) fn json(&self) -> Value {
        let job = &self.job;
        let Arguments { args, kwargs } = Arguments::of(job.args());
        let mut shown = Map::new();
        let mut add = |name: &str, value: Value| shown.insert(name.to_owned(), value);
        add("id", json!(job.id().as_str()));
        add("name", json!(job.name()));
        add("func", json!(job.task().as_str()));
        add("args", Value::Array(args));
        add("kwargs", Value::Object(kwargs));
        add("max_instances", json!(job.policy().max_instances));
        add("misfire_grace_time", grace(job.policy().misfire_grace_time));
        add("next_run_time", json!(self.next.map(Moment::isoformat)));
        let zone = job.trigger().timezone();
        let next = self.next.map(|next| next.at);
        shown.extend(trigger(job.trigger().spec(), zone, next));
        Value::Object(shown)
    }
}

/// Whether the original would still have the job: one whose schedule is over is gone there at once,
/// here when its last run has ended.
pub(super) fn is_there(stored: &StoredJob) -> bool {
    let is_over = stored.state == JobState::Active
        && stored.next_fire.is_none()
        && stored.parked.is_none()
        && !stored.job.policy().keep;
    !is_over
}

/// A date that was said with an offset keeps it.
fn next_moment(job: &Job, at: Timestamp) -> Moment {
    let zone = job.trigger().timezone();
    let own = match job.trigger().spec() {
        TriggerSpec::Date(DateSpec { run_date, .. }) => run_date.as_deref(),
        _ => None,
    };
    own.and_then(|text| dates::moment(text, zone))
        .filter(|own| own.at == at)
        .unwrap_or_else(|| Moment::in_zone(at, zone))
}

fn grace(grace: Grace) -> Value {
    match grace {
        Grace::Unlimited => Value::Null,
        Grace::Within(limit) if limit.subsec_nanos() == 0 => json!(limit.as_secs()),
        Grace::Within(limit) => json!(limit.as_secs_f64()),
    }
}

fn trigger(spec: &TriggerSpec, zone: Tz, next: Option<Timestamp>) -> Map<String, Value> {
    match spec {
        TriggerSpec::Date(spec) => date(spec, zone, next),
        TriggerSpec::Interval(spec) => interval(spec, zone, next),
        TriggerSpec::Cron(spec) if spec.expression.is_none() => cron(spec, zone),
        TriggerSpec::CalendarInterval(spec) => one("trigger", calendar(spec, zone)),
        other => one("trigger", other.to_string()),
    }
}

fn one(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.into())])
}

fn shown_date(text: Option<&str>, zone: Tz) -> Option<Value> {
    let moment = dates::moment(text?, zone)?;
    Some(Value::String(moment.isoformat()))
}

fn date(spec: &DateSpec, zone: Tz, next: Option<Timestamp>) -> Map<String, Value> {
    let mut shown = one("trigger", "date");
    let own = shown_date(spec.run_date.as_deref(), zone);
    let next = || next.map(|at| Value::String(Moment::in_zone(at, zone).isoformat()));
    shown.insert(
        "run_date".to_owned(),
        own.or_else(next).unwrap_or(Value::Null),
    );
    shown
}

fn interval(spec: &IntervalSpec, zone: Tz, next: Option<Timestamp>) -> Map<String, Value> {
    let mut shown = one("trigger", "interval");
    let own = shown_date(spec.start_date.as_deref(), zone);
    let next = || next.map(|at| Value::String(Moment::in_zone(at, zone).isoformat()));
    shown.insert(
        "start_date".to_owned(),
        own.or_else(next).unwrap_or(Value::Null),
    );
    if let Some(end) = shown_date(spec.end_date.as_deref(), zone) {
        shown.insert("end_date".to_owned(), end);
    }
    let mut seconds = micros(spec) / 1_000_000;
    for (name, unit) in [
        ("weeks", 604_800),
        ("days", 86_400),
        ("hours", 3600),
        ("minutes", 60),
        ("seconds", 1),
    ] {
        if seconds >= unit {
            shown.insert(name.to_owned(), json!(seconds / unit));
            seconds %= unit;
        }
    }
    shown
}

fn cron(spec: &CronSpec, zone: Tz) -> Map<String, Value> {
    let mut shown = one("trigger", "cron");
    let dates = [
        ("start_date", &spec.start_date),
        ("end_date", &spec.end_date),
    ];
    for (name, text) in dates {
        if let Some(date) = shown_date(text.as_deref(), zone) {
            shown.insert(name.to_owned(), date);
        }
    }
    let given = [
        &spec.year,
        &spec.month,
        &spec.day,
        &spec.week,
        &spec.day_of_week,
        &spec.hour,
        &spec.minute,
        &spec.second,
    ];
    for ((name, ..), text) in FIELDS.iter().zip(given) {
        if let Some(text) = text {
            shown.insert((*name).to_owned(), json!(text));
        }
    }
    shown
}

/// `repr` of a `CalendarIntervalTrigger`, which is all that the original shows of one.
fn calendar(spec: &CalendarIntervalSpec, zone: Tz) -> String {
    let lengths = [
        ("years", spec.years),
        ("months", spec.months),
        ("weeks", spec.weeks),
        ("days", spec.days),
    ];
    let mut parts: Vec<String> = lengths
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| *value > 0)?)))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let of = |value: Option<i32>| value.unwrap_or(0);
    let (hour, minute, second) = (of(spec.hour), of(spec.minute), of(spec.second));
    // Python's UTC is an offset, and its other zones are not.
    let (offset, name) = if zone == Tz::UTC {
        ("+00:00", "datetime.timezone.utc")
    } else {
        ("", zone.name())
    };
    parts.push(format!("time='{hour:02}:{minute:02}:{second:02}{offset}'"));
    if let Some(start) = &spec.start_date {
        parts.push(format!("start_date='{start}'"));
    }
    if let Some(end) = &spec.end_date {
        parts.push(format!("end_date='{end}'"));
    }
    parts.push(format!("timezone='{name}'"));
    format!("CalendarIntervalTrigger({})", parts.join(", "))
}
