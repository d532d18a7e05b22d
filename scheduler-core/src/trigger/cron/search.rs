//! A cron trigger on the time line: wall times turned into instants, where clocks jump.
//!
//! The search goes through the spans of the zone that follow the given instant; in a span, wall
//! clock and time line run in step. At the border between two spans the rule decides:
//!
//! - `dst = "wall"`, and each schedule whose hour or minute ticks on (`*`, or a step): every time that
//!   the clock shows, as often as it shows it. APScheduler documents this.
//! - `dst = "once"`, for a schedule that names its times: what the clock jumps over fires at the
//!   first instant after the jump, and what it shows a second time has been done. Debian's
//!   cron(8) does this.

use super::dialect::{Dialect, FieldKind};
use super::expression::Expression;
use super::field::Field;
use super::schedule::{DayLogic, Fields, Schedule};
use crate::time::Timestamp;
use crate::trigger::error::TriggerError;
use crate::trigger::moment::Moment;
use crate::trigger::spec::{CronSpec, Dst};
use crate::trigger::zone::Zone;

/// No fire time lies before 1970; a few days earlier it is not yet 1970 in any zone.
const EARLIEST_MS: i64 = -172_800_000;
/// Later than any wall time.
const NEVER: i64 = i64::MAX / 2;
/// No clock is set back so far that it shows again, later than this, what has passed.
const REPEATED_WITHIN: i64 = 2 * 86_400;

/// A cron trigger, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    schedule: Schedule,
    zone: Zone,
    /// Each wall time once, whatever the clock does.
    once: bool,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Cron {
    pub(crate) fn new(spec: &CronSpec, zone: Zone) -> Result<Self, TriggerError> {
        let (fields, logic) = match &spec.expression {
            Some(text) => whole_expression(spec, text)?,
            None => named_fields(spec)?,
        };
        let ticking = fields.hour.ticking || fields.minute.ticking;
        Ok(Self {
            start: Moment::instant("start_date", spec.start_date.as_deref(), &zone)?,
            end: Moment::instant("end_date", spec.end_date.as_deref(), &zone)?,
            once: spec.dst.unwrap_or_default() == Dst::Once && !ticking,
            schedule: Schedule::new(fields, logic),
            zone,
        })
    }

    pub(crate) fn words(&self) -> String {
        self.schedule.words()
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// The first fire time at or after `now`, and not before the start date.
    pub(crate) fn at_or_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.search(self.start.map_or(now, |start| start.max(now)))
    }

    /// The first fire time after `previous`. The start date is history then, as in APScheduler.
    pub(crate) fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        self.search(Timestamp::from_ms(previous.as_ms().saturating_add(1)))
    }

    fn search(&self, from: Timestamp) -> Option<Timestamp> {
        if from > Timestamp::MAX {
            return None;
        }
        let from = from
            .as_ms()
            .max(EARLIEST_MS)
            .saturating_add(999)
            .div_euclid(1000);
        let second = self.search_seconds(from)?;
        let at = Timestamp::from_ms(second.checked_mul(1000)?);
        (at <= self.end.unwrap_or(Timestamp::MAX)).then_some(at)
    }

    fn search_seconds(&self, from: i64) -> Option<i64> {
        let spans = self.zone.spans();
        let mut number = self.zone.span_at(from);
        let mut span = spans[number];
        let mut floor = from + span.offset;
        if self.once && number > 0 {
            let before = spans[number - 1].offset;
            if from == span.start && self.fires_in_gap(span.start, before, span.offset) {
                return Some(from);
            }
            // Still in the hour that the clock shows for the second time.
            floor = floor.max(span.start + before);
        }
        let mut wall = self.schedule.at_or_after(floor).unwrap_or(NEVER);
        loop {
            if wall - span.offset < self.zone.end_of(number) {
                return (wall != NEVER).then_some(wall - span.offset);
            }
            let before = span.offset;
            number += 1;
            span = *spans.get(number)?;
            let (last_shown, shown) = (span.start + before, span.start + span.offset);
            if self.once {
                if wall < shown {
                    // The clock jumps over it.
                    return Some(span.start);
                }
            } else if shown != last_shown && (shown < floor || wall < shown) {
                // The clock shows again what was passed, or never shows what was found.
                wall = self.schedule.at_or_after(shown).unwrap_or(NEVER);
            }
            if wall == NEVER && span.start > from + REPEATED_WITHIN {
                return None;
            }
            floor = floor.max(last_shown);
        }
    }

    fn fires_in_gap(&self, start: i64, before: i64, after: i64) -> bool {
        after > before
            && self
                .schedule
                .at_or_after(start + before)
                .is_some_and(|wall| wall < start + after)
    }
}

fn whole_expression(spec: &CronSpec, text: &str) -> Result<(Fields, DayLogic), TriggerError> {
    let given = spec
        .fields()
        .iter()
        .position(Option::is_some)
        .map(|index| FieldKind::ALL[index]);
    if let Some(kind) = given {
        let message = "is given beside an expression, which already says it: give one of them";
        return Err(TriggerError::new(kind.name(), message));
    }
    let expression = Expression::parse("expression", text)?;
    Ok((expression.fields, expression.logic))
}

/// Reads APScheduler's named fields. One that is left out matches everything if a smaller one is
/// given, else only its least value (weeks and weekdays: everything).
fn named_fields(spec: &CronSpec) -> Result<(Fields, DayLogic), TriggerError> {
    let texts = spec.fields();
    let last_given = texts.iter().rposition(Option::is_some);
    let field = |kind: FieldKind| -> Result<Field, TriggerError> {
        let index = FieldKind::ALL
            .iter()
            .position(|k| *k == kind)
            .unwrap_or_default();
        match texts[index] {
            Some(text) => Field::parse(kind, Dialect::Fields, kind.name(), text, 0, text.len()),
            None if last_given.is_none_or(|last| index < last) => Ok(Field::every(kind)),
            None if matches!(kind, FieldKind::Week | FieldKind::DayOfWeek) => {
                Ok(Field::every(kind))
            }
            None => Ok(Field::value(kind, Dialect::Fields.range(kind).0)),
        }
    };
    let fields = Fields {
        year: field(FieldKind::Year)?,
        month: field(FieldKind::Month)?,
        day: field(FieldKind::Day)?,
        week: field(FieldKind::Week)?,
        day_of_week: field(FieldKind::DayOfWeek)?,
        hour: field(FieldKind::Hour)?,
        minute: field(FieldKind::Minute)?,
        second: field(FieldKind::Second)?,
    };
    Ok((fields, DayLogic::Both))
}
