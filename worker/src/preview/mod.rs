//! When a trigger fires: the fire times of a stretch, and where the wall clock changes near them.

mod clock;
mod schedule;

pub use clock::ClockChange;
pub use schedule::{MOST_COUNTED, Schedule, Stretch, Total, begin};

use scheduler_core::Timestamp;
use scheduler_core::trigger::Trigger;

use crate::wire::{Between, FireTime, PreviewView};

impl PreviewView {
    /// The view of the fire times of a stretch.
    #[must_use]
    pub fn new(trigger: &Trigger, schedule: &Schedule) -> Self {
        let fire_times = schedule.listed.iter().map(|fire| FireTime {
            utc: fire.at.to_string(),
            local: fire.local.clone(),
            offset_changed: fire.clock_changed,
            clock_change: ClockChange::near(trigger, fire.at).map(|change| change.view()),
        });
        Self {
            description: trigger.describe(),
            trigger: serde_json::to_value(trigger).unwrap_or_default(),
            timezone: trigger.timezone().name().to_owned(),
            fire_times: fire_times.collect(),
            exhausted: schedule.is_exhausted,
            between: schedule.total.as_ref().map(between),
        }
    }
}

fn between(total: &Total) -> Between {
    Between {
        from: total.from.to_string(),
        to: total.to.to_string(),
        count: total.count,
        count_is_exact: total.is_exact,
        last: total.last.map(|at: Timestamp| at.to_string()),
    }
}
