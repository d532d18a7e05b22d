//! When triggers fire.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A trigger to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// The trigger: an object, or text as `every 10s`, a cron expression or an instant.
    pub trigger: Value,
    /// The zone of a trigger that names none. Defaults to the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Fire times at or after this instant. Defaults to now, by the store's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// Count the fire times of this stretch, and list the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Stretch>,
    /// How many to list at most, 1 to 1000. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(minimum = 1, maximum = 1000))]
    pub count: Option<usize>,
}

/// A stretch of time; both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// Its first instant.
    pub from: String,
    /// Its last instant.
    pub to: String,
}

/// When a trigger fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PreviewView {
    /// The trigger in words.
    pub description: String,
    /// The trigger, with its zone spelled out.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub trigger: Value,
    /// Its zone.
    pub timezone: String,
    /// Its next fire times.
    pub fire_times: Vec<FireTime>,
    /// Whether none follows those that are listed.
    pub exhausted: bool,
    /// How many fire times the stretch has that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
}

/// A fire time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FireTime {
    /// In UTC.
    pub utc: String,
    /// In the trigger's zone.
    pub local: String,
    /// Whether the zone's offset has changed since the fire time before.
    pub offset_changed: bool,
    /// The change of the clock that it lies in, or within an hour of.
    pub clock_change: Option<ClockChange>,
}

/// A change of the clock, near a fire time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ClockChange {
    /// What the clock does.
    pub kind: ChangeKind,
    /// The first instant at the new offset.
    pub at: String,
    /// The offset before.
    pub offset_before: String,
    /// The offset after.
    pub offset_after: String,
    /// Where the fire time lies beside it.
    pub position: Position,
}

/// What the clock does to the times between the two that it shows at the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It leaves them out.
    Skips,
    /// It shows them twice.
    Repeats,
}

/// Where a fire time lies beside a skipped or repeated stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Before it.
    Before,
    /// Within a repeated stretch, the first time.
    First,
    /// Within a repeated stretch, the second time.
    Second,
    /// After it.
    After,
}

/// How many fire times a stretch has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Between {
    /// Its first instant.
    pub from: String,
    /// Its last instant.
    pub to: String,
    /// How many.
    pub count: u64,
    /// Whether the counting came to the end.
    pub count_is_exact: bool,
    /// The last that was counted.
    pub last: Option<String>,
}

/// A job that could be added as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct JobChecked {
    /// The definition, with all defaults filled in.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub job: Value,
    /// When it would run.
    pub preview: PreviewView,
}
