//! Triggers as typed: names, numbers and texts, the way configuration and requests hold them.
//!
//! Nothing here has been checked against the rules of a trigger; [`TriggerSpec::resolve`] does that.

use serde::{Serialize, Serializer};

/// A trigger as typed.
///
/// Read from TOML, JSON or MessagePack by its `type`: `{type = "interval", seconds = 10}`.
/// Unknown fields are refused by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TriggerSpec {
    /// Once.
    Date(DateSpec),
    /// Every so often.
    Interval(IntervalSpec),
    /// Whenever the wall clock matches.
    Cron(CronSpec),
    /// Every so many days, weeks, months or years, at a wall-clock time.
    CalendarInterval(CalendarIntervalSpec),
    /// Whenever all of several triggers fire at the same instant.
    And(CombinedSpec),
    /// Whenever one of several triggers fires.
    Or(CombinedSpec),
}

impl TriggerSpec {
    /// Never: one of no triggers. For jobs that only run after others.
    #[must_use]
    pub fn never() -> Self {
        Self::Or(CombinedSpec::default())
    }

    /// Whether this is [`never`](Self::never).
    #[must_use]
    pub fn is_never(&self) -> bool {
        matches!(self, Self::Or(spec) if spec.triggers.is_empty())
    }
}

/// What happens to a wall-clock time on the days when the clock jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dst {
    /// A time that is named (no `*`, no step in hour and minute) happens exactly once: at the first
    /// instant after a jump over it, and only the first of two.
    #[default]
    Once,
    /// Each time that the clock really shows counts: a repeated one twice, a skipped one not at all.
    Wall,
}

/// The fields of a `date` trigger.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DateSpec {
    /// When it fires: `2026-12-24 18:00:00`, with an offset or in the trigger's zone. Defaults to
    /// now, whenever the schedule begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_date: Option<String>,
    /// The zone of a `run_date` without an offset. Defaults to the configured zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// When it does not fire. Defaults to never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ExcludeSpec>,
}

/// The fields of an `interval` trigger; the lengths add up. Defaults to one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IntervalSpec {
    /// Weeks, of 7 days each.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub weeks: Option<f64>,
    /// Days, of 24 hours each.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub days: Option<f64>,
    /// Hours.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub hours: Option<f64>,
    /// Minutes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub minutes: Option<f64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub seconds: Option<f64>,
    /// The first fire time. Defaults to one interval after the schedule begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// The last possible fire time. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// The zone of dates without an offset. Defaults to the configured zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Up to so many seconds are added to each run, at random. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub jitter: Option<f64>,
    /// When it does not fire. Defaults to never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ExcludeSpec>,
}

/// The fields of a `cron` trigger: an expression, or named fields.
///
/// A field that is left out means `*` if a smaller one is given, else its least value (`week` and
/// `day_of_week`: always `*`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CronSpec {
    /// All fields in one text: crontab's five, or six or seven with seconds in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// 1970 to 9999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<String>,
    /// 1 to 12, or `jan` to `dec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// 1 to 31, `last`, `last fri`, `3rd fri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// ISO weeks, 1 to 53.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<String>,
    /// 0 (Monday) to 6, or `mon` to `sun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_of_week: Option<String>,
    /// 0 to 23.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    /// 0 to 59.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<String>,
    /// 0 to 59.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// No fire time before it. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// The last possible fire time. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// Whose wall clock. Defaults to the configured zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Up to so many seconds are added to each run, at random. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub jitter: Option<f64>,
    /// What happens when the clock jumps. Defaults to `"once"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<Dst>,
    /// When it does not fire. Defaults to never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ExcludeSpec>,
}

/// The fields of a `calendar_interval` trigger; the lengths add up and must lead forward.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CalendarIntervalSpec {
    /// Years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<i32>,
    /// Months: to the same day number, in the next such month that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub months: Option<i32>,
    /// Weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weeks: Option<i32>,
    /// Days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// The hour, 0 to 23. Defaults to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<i32>,
    /// The minute, 0 to 59. Defaults to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<i32>,
    /// The second, 0 to 59. Defaults to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<i32>,
    /// The first date. Defaults to the day on which the schedule begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// The last possible date. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// Whose wall clock. Defaults to the configured zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Up to so many seconds are added to each run, at random. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub jitter: Option<f64>,
    /// What happens when the clock jumps. Defaults to `"once"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<Dst>,
    /// When it does not fire. Defaults to never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ExcludeSpec>,
}

/// The fields of an `and` or `or` trigger.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CombinedSpec {
    /// The triggers that are combined.
    pub triggers: Vec<TriggerSpec>,
    /// The zone of those that name none. Defaults to the configured zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Up to so many seconds are added to each run, at random. Defaults to none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub jitter: Option<f64>,
    /// When it does not fire. Defaults to never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ExcludeSpec>,
}

/// A stretch of time in which a trigger does not fire.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ExcludeSpec {
    /// A date (the whole day), an instant, or a cron expression (the minutes that it matches).
    Text(String),
    /// From a date or instant to another, both included.
    Range {
        /// The first date or instant.
        start_date: String,
        /// The last one.
        end_date: String,
    },
}

impl CronSpec {
    /// The fields' texts, from year to second.
    pub(crate) fn fields(&self) -> [Option<&str>; 8] {
        [
            self.year.as_deref(),
            self.month.as_deref(),
            self.day.as_deref(),
            self.week.as_deref(),
            self.day_of_week.as_deref(),
            self.hour.as_deref(),
            self.minute.as_deref(),
            self.second.as_deref(),
        ]
    }
}

/// Writes a number that is whole as an integer, so that `seconds = 10` reads back as it was typed.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and small"
)]
fn number<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            to.serialize_i64(*number as i64)
        }
        Some(number) => to.serialize_f64(*number),
        None => to.serialize_none(),
    }
}
