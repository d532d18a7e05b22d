//! The domain of Carillon.
#![forbid(unsafe_code)]

pub mod duration;
pub mod time;
pub mod trigger;

pub use time::{Clock, ManualClock, Timestamp};
pub use trigger::{Trigger, TriggerError};
