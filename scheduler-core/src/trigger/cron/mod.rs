//! Cron: the wall clock's fields, each with the values that it matches.
//!
//! Read in this order: [`dialect`] says what may be written, [`field`] reads one field and
//! [`expression`] several, [`days`] and [`schedule`] search wall times, [`search`] puts them on the
//! time line where clocks jump.

mod cursor;
mod days;
mod dialect;
mod expression;
mod field;
mod mask;
mod schedule;
mod search;
mod words;
mod years;

pub(crate) use expression::looks_like_cron;
pub(crate) use mask::Mask;
pub(crate) use search::Cron;
