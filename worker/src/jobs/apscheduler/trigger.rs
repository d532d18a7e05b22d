//! Triggers, from what theirs say of themselves.

use scheduler_core::Timestamp;
use scheduler_core::trigger::{
    CalendarIntervalSpec, CombinedSpec, CronSpec, DateSpec, IntervalSpec, TriggerSpec,
};
use serde_json::Value;

use super::pickle::Item;
use super::values::{instant, optional_date, optional_instant, pickled, seconds, zone_name};

/// What cannot be mapped: the field, and why.
pub(super) type Unmapped = (String, String);

/// How deep triggers may stand in each other.
const MAX_DEPTH: usize = 8;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];

/// The trigger of a job.
pub(super) fn trigger(value: &Value) -> Result<TriggerSpec, Unmapped> {
    let class = value["__apscheduler_class__"].as_str();
    match (class, value.get("__apscheduler_state__")) {
        (Some(class), Some(state)) => of(class, state, "trigger", 0),
        _ => Err((
            "trigger".to_owned(),
            "is none of APScheduler's own".to_owned(),
        )),
    }
}

fn of(class: &str, state: &Value, path: &str, depth: usize) -> Result<TriggerSpec, Unmapped> {
    let state = State { state, path };
    let name = class.rsplit(':').next().unwrap_or_default();
    let newest = if matches!(name, "CronTrigger" | "IntervalTrigger") {
        2
    } else {
        1
    };
    if state.state["version"]
        .as_u64()
        .is_none_or(|version| version > newest)
    {
        return Err(state.wrong(
            "version",
            "is of another version of APScheduler than 3".to_owned(),
        ));
    }
    match class {
        "apscheduler.triggers.date:DateTrigger" => Ok(TriggerSpec::Date(DateSpec {
            run_date: Some(state.read("run_date", instant)?.to_string()),
            ..DateSpec::default()
        })),
        "apscheduler.triggers.interval:IntervalTrigger" => {
            Ok(TriggerSpec::Interval(IntervalSpec {
                seconds: Some(state.read("interval", seconds)?),
                start_date: state.time("start_date")?,
                end_date: state.time("end_date")?,
                timezone: Some(state.read("timezone", zone_name)?),
                jitter: state.state["jitter"].as_f64(),
                ..IntervalSpec::default()
            }))
        }
        "apscheduler.triggers.cron:CronTrigger" => state.cron().map(TriggerSpec::Cron),
        "apscheduler.triggers.calendarinterval:CalendarIntervalTrigger" => {
            state.calendar().map(TriggerSpec::CalendarInterval)
        }
        "apscheduler.triggers.combining:AndTrigger" => state.combined(depth).map(TriggerSpec::And),
        "apscheduler.triggers.combining:OrTrigger" => state.combined(depth).map(TriggerSpec::Or),
        _ => Err((
            path.to_owned(),
            format!("{class} is none of APScheduler's own triggers"),
        )),
    }
}

/// What a trigger says of itself, and where it stands.
struct State<'a> {
    state: &'a Value,
    path: &'a str,
}

impl State<'_> {
    fn wrong(&self, field: &str, why: String) -> Unmapped {
        (format!("{}.{field}", self.path), why)
    }

    fn read<T>(
        &self,
        field: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, Unmapped> {
        read(&self.state[field]).map_err(|why| self.wrong(field, why))
    }

    fn time(&self, field: &str) -> Result<Option<String>, Unmapped> {
        let at = self.read(field, optional_instant)?;
        Ok(at.map(|at: Timestamp| at.to_string()))
    }

    fn cron(&self) -> Result<CronSpec, Unmapped> {
        let mut spec = CronSpec {
            start_date: self.time("start_date")?,
            end_date: self.time("end_date")?,
            timezone: Some(self.read("timezone", zone_name)?),
            jitter: self.state["jitter"].as_f64(),
            ..CronSpec::default()
        };
        for field in self.state["fields"].as_array().into_iter().flatten() {
            let pickle = pickled(field).unwrap_or_else(|| Err(format!("{field} is no field")));
            let pickle = pickle.map_err(|why| self.wrong("fields", why))?;
            let item = pickle.root();
            let name = item.field("name").and_then(Item::text).unwrap_or_default();
            let text = match name {
                "year" => &mut spec.year,
                "month" => &mut spec.month,
                "day" => &mut spec.day,
                "week" => &mut spec.week,
                "day_of_week" => &mut spec.day_of_week,
                "hour" => &mut spec.hour,
                "minute" => &mut spec.minute,
                "second" => &mut spec.second,
                _ => return Err(self.wrong("fields", format!("{name:?} is no field of cron"))),
            };
            if item.field("is_default").is_some_and(Item::is_true) {
                continue;
            }
            let parts = item
                .field("expressions")
                .map(Item::items)
                .unwrap_or_default();
            let parts: Option<Vec<_>> = parts.into_iter().map(expression).collect();
            let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(|| {
                self.wrong(name, "is none of APScheduler's own expressions".to_owned())
            })?;
            *text = Some(parts.join(","));
        }
        Ok(spec)
    }

    fn calendar(&self) -> Result<CalendarIntervalSpec, Unmapped> {
        let numbers = |field: &str, count: usize| {
            let numbers = self.state[field].as_array().into_iter().flatten();
            let numbers = numbers.map(|number| i32::try_from(number.as_i64()?).ok());
            let numbers: Option<Vec<_>> = numbers.collect();
            numbers
                .filter(|numbers| numbers.len() == count)
                .ok_or_else(|| self.wrong(field, format!("must be {count} numbers")))
        };
        let (lengths, time) = (numbers("interval", 4)?, numbers("time", 3)?);
        let length = |at: usize| Some(lengths[at]).filter(|length| *length != 0);
        let date = |field| {
            let date = self.read(field, optional_date)?;
            Ok::<_, Unmapped>(date.map(|date| date.to_string()))
        };
        Ok(CalendarIntervalSpec {
            years: length(0),
            months: length(1),
            weeks: length(2),
            days: length(3),
            hour: Some(time[0]),
            minute: Some(time[1]),
            second: Some(time[2]),
            start_date: date("start_date")?,
            end_date: date("end_date")?,
            timezone: Some(self.read("timezone", zone_name)?),
            jitter: self.state["jitter"].as_f64(),
            ..CalendarIntervalSpec::default()
        })
    }

    fn combined(&self, depth: usize) -> Result<CombinedSpec, Unmapped> {
        if depth >= MAX_DEPTH {
            return Err(self.wrong("triggers", "stand too deep in each other".to_owned()));
        }
        let triggers = self.state["triggers"].as_array().into_iter().flatten();
        let triggers = triggers.enumerate().map(|(number, pair)| {
            let path = format!("{}.triggers[{number}]", self.path);
            match (pair[0].as_str(), pair.get(1)) {
                (Some(class), Some(state)) => of(class, state, &path, depth + 1),
                _ => Err((path, "is none of APScheduler's own".to_owned())),
            }
        });
        Ok(CombinedSpec {
            triggers: triggers.collect::<Result<_, _>>()?,
            jitter: self.state["jitter"].as_f64(),
            ..CombinedSpec::default()
        })
    }
}

/// A part of a cron field, as it is written.
fn expression(item: Item<'_>) -> Option<String> {
    let class = item
        .class()?
        .strip_prefix("apscheduler.triggers.cron.expressions:")?;
    let number = |field| item.field(field).and_then(Item::int);
    let named = |names: &[&'static str], at: i64| names.get(usize::try_from(at).ok()?).copied();
    let text = match class {
        "AllExpression" => "*".to_owned(),
        "RangeExpression" => {
            let first = number("first")?;
            match number("last") {
                Some(last) if last != first => format!("{first}-{last}"),
                _ => first.to_string(),
            }
        }
        "MonthRangeExpression" | "WeekdayRangeExpression" => {
            // Months count from 1, weekdays from 0.
            let (names, least) = match class {
                "MonthRangeExpression" => (&MONTHS[..], 1),
                _ => (&WEEKDAYS[..], 0),
            };
            let first = number("first")?;
            let name = named(names, first - least)?;
            match number("last") {
                Some(last) if last != first => format!("{name}-{}", named(names, last - least)?),
                _ => name.to_owned(),
            }
        }
        "WeekdayPositionExpression" => {
            let position = named(&POSITIONS, number("option_num")?)?;
            format!("{position} {}", named(&WEEKDAYS, number("weekday")?)?)
        }
        "LastDayOfMonthExpression" => "last".to_owned(),
        _ => return None,
    };
    Some(match number("step") {
        Some(step) => format!("{text}/{step}"),
        None => text,
    })
}
