//! Triggers: pure rules that yield fire times.
//!
//! A [`TriggerSpec`] is a trigger as typed; [`TriggerSpec::resolve`] checks it and settles its time
//! zone, and the [`Trigger`] that comes out is asked for fire times. The words, forms and defaults
//! are APScheduler's.
#![expect(
    dead_code,
    reason = "exclusions, combinations and expressions build on it next"
)]

mod cron;
mod display;
mod error;
mod interval;
mod moment;
mod read;
mod rule;
mod spec;
mod text;
mod zone;

pub use error::{Pointer, TriggerError};
pub use rule::{Stretch, Trigger};
pub use spec::{CronSpec, DateSpec, Dst, IntervalSpec, TriggerSpec};
