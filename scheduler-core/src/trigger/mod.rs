//! Triggers: pure rules that yield fire times.
//!
//! A [`TriggerSpec`] is a trigger as typed; [`TriggerSpec::resolve`] checks it and settles its time
//! zone, and the [`Trigger`] that comes out is asked for fire times. The words, forms and defaults
//! are APScheduler's.

mod calendar;
mod combine;
mod cron;
mod display;
mod error;
mod exclude;
mod interval;
mod leaps;
mod moment;
pub mod preview;
mod read;
mod resolve;
mod rule;
mod schedule;
mod spec;
mod text;
mod words;
mod zone;

pub use error::{Pointer, TriggerError};
pub use moment::read_moment;
pub use schedule::{Stretch, Trigger};
pub use spec::{
    CalendarIntervalSpec, CombinedSpec, CronSpec, DateSpec, Dst, ExcludeSpec, IntervalSpec,
    TriggerSpec,
};
