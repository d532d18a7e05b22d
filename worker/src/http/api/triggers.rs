//! Triggers, before a job has them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use chrono_tz::Tz;
use scheduler_core::trigger::{Trigger, TriggerSpec};
use scheduler_core::{Store, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::jobs::json;
use super::problem::Problem;
use super::views::{FireTime, PreviewView};
use crate::http::app::App;

/// How many fire times are shown, and how many may be.
const COUNT: (usize, usize) = (5, 1000);

/// A trigger to look at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    trigger: Value,
    timezone: Option<String>,
    now: Option<String>,
    count: Option<usize>,
}

impl Asked {
    fn read(body: Value) -> Result<Self, Problem> {
        serde_json::from_value(body).map_err(|error| Problem::field("", error.to_string()))
    }

    fn trigger(&self, default: Tz) -> Result<Trigger, Problem> {
        let zone = match &self.timezone {
            None => default,
            Some(name) => name
                .parse()
                .map_err(|_| Problem::field("timezone", format!("{name:?} is no time zone")))?,
        };
        let spec = match &self.trigger {
            Value::String(text) => TriggerSpec::from_text(text)?,
            other => TriggerSpec::from_value(other.clone())?,
        };
        Ok(spec.resolve(zone)?)
    }
}

/// Says what a trigger is, or what is wrong with it, and when it fires.
pub(super) async fn preview<S: Store>(
    State(app): State<App<S>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PreviewView>, Problem> {
    let asked = Asked::read(json(body)?)?;
    let trigger = asked.trigger(app.job_defaults().timezone)?;
    let now: Timestamp = match &asked.now {
        Some(text) => text
            .parse()
            .map_err(|error| Problem::field("now", format!("{text:?} is no instant: {error}")))?,
        None => app.store().overview().await?.now,
    };
    let count = super::jobs::limit(asked.count, COUNT)?;
    let mut left = count;
    let upcoming = trigger.upcoming(trigger.first(now), |_| {
        let wanted = left > 0;
        left = left.saturating_sub(1);
        wanted
    });
    let fire_times: Vec<FireTime> = upcoming
        .into_iter()
        .map(|fire| FireTime {
            at: fire.at.to_string(),
            local: fire.local,
            clock_changed: fire.clock_changed,
        })
        .collect();
    Ok(Json(PreviewView {
        description: trigger.describe(),
        trigger: serde_json::to_value(&trigger).unwrap_or_default(),
        timezone: trigger.timezone().name(),
        exhausted: fire_times.len() < count,
        fire_times,
    }))
}
