//! A cron expression as a mask: not the instants at which it fires, but the time that it covers.
//!
//! `* 22-23,0-5 * * *` covers the night. An expression without seconds covers whole minutes, one
//! with seconds whole seconds.

use super::expression::Expression;
use super::schedule::Schedule;
use crate::time::Timestamp;
use crate::trigger::error::TriggerError;
use crate::trigger::zone::Zone;

/// The time that an expression covers.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    schedule: Schedule,
    zone: Zone,
}

impl Mask {
    pub(crate) fn parse(field: &str, text: &str, zone: Zone) -> Result<Self, TriggerError> {
        let expression = Expression::parse(field, text)?;
        let has_seconds = expression.has_seconds;
        let mut schedule = Schedule::new(expression.fields, expression.logic);
        if !has_seconds {
            schedule.seconds = (1 << 60) - 1;
        }
        Ok(Self { schedule, zone })
    }

    /// If `at` is covered, a later instant up to which all is covered.
    ///
    /// Not always the last such instant: ask again there. It leaves the unit that the expression
    /// restricts, so a night takes a few steps and a month of days one.
    pub(crate) fn until(&self, at: Timestamp) -> Option<Timestamp> {
        let second = at.as_ms().div_euclid(1000);
        let span = self.zone.span_at(second);
        let wall = self.zone.wall_at(second);
        let covered = self.schedule.covered_until(wall)?;
        // Past a clock change the wall shows something else: look again there.
        let end = (second + covered - wall).min(self.zone.end_of(span));
        Some(Timestamp::from_ms(end * 1000))
    }
}
