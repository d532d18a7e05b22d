//! One field of a cron trigger: its text read into the values that it matches.

use super::cursor::Cursor;
use super::days::DayForms;
use super::dialect::{Dialect, FieldKind};
use super::years::YearRange;
use crate::trigger::error::TriggerError;

/// A field, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Field {
    /// Bit `n` is set where the value `n` matches. Weekdays count from Monday = 0. Unused for years.
    pub(super) bits: u64,
    /// The years that match.
    pub(super) years: Vec<YearRange>,
    /// What can't be said in numbers: the last day, the third Friday.
    pub(super) days: DayForms,
    /// Begins with `*` (or is `?`): crontab does not count such a field as a restriction.
    pub(super) starred: bool,
    /// Has a `*` or a step somewhere: the field ticks on, rather than naming its times.
    pub(super) ticking: bool,
}

impl Field {
    /// The field that a lone value would give.
    pub(super) fn value(kind: FieldKind, value: u16) -> Self {
        let mut field = Self::default();
        field.add_range(kind, Dialect::Fields, value, value, 1);
        field
    }

    /// The field that `*` would give.
    pub(super) fn every(kind: FieldKind) -> Self {
        let mut field = Self {
            starred: true,
            ticking: true,
            ..Self::default()
        };
        let (first, last) = Dialect::Fields.range(kind);
        field.add_range(kind, Dialect::Fields, first, last, 1);
        field
    }

    /// Reads the field `text[from..to]`; errors speak of the whole `text`, under the name `field`.
    pub(super) fn parse(
        kind: FieldKind,
        dialect: Dialect,
        field: &str,
        text: &str,
        from: usize,
        to: usize,
    ) -> Result<Self, TriggerError> {
        if to - from > MAX_LENGTH {
            let message = format!("has {} characters: at most {MAX_LENGTH}", to - from);
            return Err(TriggerError::new(field, message));
        }
        Cursor {
            kind,
            dialect,
            field,
            text,
            at: from,
            end: to,
        }
        .field()
    }

    fn add_range(&mut self, kind: FieldKind, dialect: Dialect, first: u16, last: u16, step: u16) {
        if kind == FieldKind::Year {
            self.years.push(YearRange { first, last, step });
            return;
        }
        for value in (first..=last).step_by(usize::from(step.max(1))) {
            let value = match kind {
                FieldKind::DayOfWeek => u16::from(dialect.weekday(value)),
                _ => value,
            };
            self.bits |= 1 << value;
        }
    }
}

/// Longer texts are refused unread: reading, and searching years, costs by the length.
const MAX_LENGTH: usize = 1000;

impl Cursor<'_> {
    /// A whole field: parts with commas between them.
    fn field(mut self) -> Result<Field, TriggerError> {
        let mut field = Field::default();
        self.skip_blanks();
        field.starred = self.peek().is_some_and(|c| c == '*' || c == '?');
        loop {
            self.item(&mut field)?;
            self.skip_blanks();
            if self.at == self.end {
                return Ok(field);
            }
            if !self.skip(',') {
                return Err(self.unexpected());
            }
            self.skip_blanks();
        }
    }

    /// One part of the list.
    fn item(&mut self, field: &mut Field) -> Result<(), TriggerError> {
        let start = self.at;
        let (least, most) = self.dialect.range(self.kind);
        if self.skip('*') {
            field.ticking = true;
            let step = self.step(least, most, start)?.unwrap_or(1);
            field.add_range(self.kind, self.dialect, least, most, step);
            return Ok(());
        }
        let is_day = matches!(self.kind, FieldKind::Day | FieldKind::DayOfWeek);
        if is_day && self.dialect == Dialect::Fields && self.day_form(field)? {
            return Ok(());
        }
        if is_day && self.dialect != Dialect::Fields && self.quartz_form(field)? {
            return Ok(());
        }
        let first = self.value()?;
        let mut last = first;
        let range = self.skip('-');
        if range {
            last = self.value()?;
            if last.number < first.number && last.named && self.is_sunday(last) {
                // `fri-sun`: where Sunday has the lowest number, it also ends the week.
                last.number += 7;
            }
            if last.number < first.number {
                return Err(self.wrong_at(
                    first.at,
                    &format!(
                        "the range runs backwards; write it as a list, or as two ranges: \
                         \"{}-{most},{least}-{}\"",
                        first.number, last.number
                    ),
                ));
            }
        }
        let open_end = if range { last.number } else { most };
        if let Some(step) = self.step(first.number, open_end, start)? {
            field.ticking = true;
            field.add_range(self.kind, self.dialect, first.number, open_end, step);
        } else {
            field.add_range(self.kind, self.dialect, first.number, last.number, 1);
        }
        Ok(())
    }

    /// `/5`, if it stands here.
    fn step(&mut self, first: u16, last: u16, start: usize) -> Result<Option<u16>, TriggerError> {
        if !self.skip('/') {
            return Ok(None);
        }
        let at = self.at;
        let step = self.number()?;
        if step == 0 {
            return Err(self.wrong_at(at, "a step must be 1 or more"));
        }
        let most = match self.dialect {
            // APScheduler takes a 0 at the end of a range for "no end given".
            Dialect::Fields if last == 0 => self.dialect.range(self.kind).1,
            Dialect::Fields => last - first,
            Dialect::Crontab | Dialect::Seconds => self.dialect.range(self.kind).1,
        };
        if step > most {
            let item = self.text[start..self.at].to_owned();
            return Err(self.wrong_at(
                at,
                &format!("the step {step} of {item:?} is wider than its range: at most {most}"),
            ));
        }
        Ok(Some(step))
    }

    /// `last`, `last fri`, `3rd fri`: APScheduler's words for days. False if none stands here.
    fn day_form(&mut self, field: &mut Field) -> Result<bool, TriggerError> {
        if self.kind != FieldKind::Day {
            return Ok(false);
        }
        if self.skip_word("last") {
            if self.skip_blanks() && self.peek().is_some_and(|c| c != ',') {
                field.days.last_weekdays |= 1 << self.name(FieldKind::DayOfWeek)?;
            } else {
                field.days.from_last |= 1;
            }
            return Ok(true);
        }
        let rest = self.rest().to_ascii_lowercase();
        let Some(nth) = ["1st", "2nd", "3rd", "4th", "5th"]
            .iter()
            .position(|o| rest.starts_with(o))
        else {
            return Ok(false);
        };
        self.at += 3;
        if !self.skip_blanks() {
            return Err(self.wrong("expected a blank and a weekday, as in \"3rd fri\""));
        }
        field.days.nth[nth] |= 1 << self.name(FieldKind::DayOfWeek)?;
        Ok(true)
    }

    /// `?`, `L`, `L-3`, `LW`, `15W`, `6L`, `6#3`: Quartz's signs. False if none stands here.
    fn quartz_form(&mut self, field: &mut Field) -> Result<bool, TriggerError> {
        let (least, most) = self.dialect.range(self.kind);
        if self.skip('?') {
            field.ticking = true;
            field.add_range(self.kind, self.dialect, least, most, 1);
            return Ok(true);
        }
        if self.kind == FieldKind::Day {
            return self.quartz_day(field);
        }
        if self.rest().eq_ignore_ascii_case("l")
            || self.rest().to_ascii_lowercase().starts_with("l,")
        {
            // Alone, it is the last day of Quartz's week: Saturday.
            self.at += 1;
            field.bits |= 1 << 5;
            return Ok(true);
        }
        let start = self.at;
        let Ok(value) = self.value() else {
            self.at = start;
            return Ok(false);
        };
        let weekday = self.dialect.weekday(value.number);
        if self.skip_word("l") {
            field.days.last_weekdays |= 1 << weekday;
            return Ok(true);
        }
        if self.skip('#') {
            let at = self.at;
            let nth = self.number()?;
            let Some(set) = nth
                .checked_sub(1)
                .and_then(|n| field.days.nth.get_mut(usize::from(n)))
            else {
                return Err(
                    self.wrong_at(at, "a month has a first to a fifth of a weekday: #1 to #5")
                );
            };
            *set |= 1 << weekday;
            return Ok(true);
        }
        self.at = start;
        Ok(false)
    }

    /// The signs that a day of the month may have.
    fn quartz_day(&mut self, field: &mut Field) -> Result<bool, TriggerError> {
        if self.skip_word("lw") {
            field.days.last_workday = true;
            return Ok(true);
        }
        if self.skip_word("l") {
            let mut before = 0;
            if self.skip('-') {
                let at = self.at;
                before = self.number()?;
                if before > 30 {
                    return Err(self.wrong_at(at, "a month has at most 30 days before its last"));
                }
            }
            field.days.from_last |= 1 << before;
            return Ok(true);
        }
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let marked = self.rest()[digits..].starts_with(['w', 'W']);
        if digits == 0 || !marked {
            return Ok(false);
        }
        let day = self.value()?;
        self.at += 1;
        field.days.nearest_workdays |= 1 << day.number;
        Ok(true)
    }
}
