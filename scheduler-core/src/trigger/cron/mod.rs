//! Cron: the wall clock's fields, each with the values that it matches.
//!
//! Read in this order: [`dialect`] says what may be written, [`field`] reads it, [`schedule`]
//! searches wall times, [`search`] puts them on the time line where clocks jump.

mod days;
mod dialect;
mod field;
mod schedule;
mod search;

pub(crate) use search::Cron;
