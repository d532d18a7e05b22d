//! Cron expressions: all fields in one text, in the dialect that their number tells.

use super::dialect::{Dialect, FieldKind};
use super::field::Field;
use super::schedule::{DayLogic, Fields};
use crate::trigger::error::TriggerError;

/// What a shorthand stands for, in crontab's dialect.
const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// An expression, read.
pub(super) struct Expression {
    pub(super) fields: Fields,
    pub(super) logic: DayLogic,
    /// Whether the expression has a field for seconds, rather than meaning whole minutes.
    pub(super) has_seconds: bool,
}

/// Whether a text looks like a cron expression at all: a shorthand, or several words.
pub(crate) fn looks_like_cron(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('@') || text.split_ascii_whitespace().count() >= 4
}

impl Expression {
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, TriggerError> {
        if text.trim_start().starts_with('@') {
            let name = text.trim().to_ascii_lowercase();
            let Some((_, meaning)) = SHORTHANDS.iter().find(|(known, _)| *known == name) else {
                return Err(unknown_shorthand(field, text));
            };
            return Self::fields(field, meaning);
        }
        Self::fields(field, text)
    }

    fn fields(field: &str, text: &str) -> Result<Self, TriggerError> {
        let words = words(text);
        let (dialect, kinds): (Dialect, &[FieldKind]) = match words.len() {
            5 => (Dialect::Crontab, &WITH_SECONDS[1..6]),
            6 => (Dialect::Seconds, &WITH_SECONDS[..6]),
            7 => (Dialect::Seconds, &WITH_SECONDS),
            count => return Err(wrong_count(field, text, count)),
        };
        let read = |kind: FieldKind| match kinds.iter().position(|k| *k == kind) {
            Some(index) => {
                let (from, to) = words[index];
                Field::parse(kind, dialect, field, text, from, to)
            }
            None if kind == FieldKind::Second => Ok(Field::value(kind, 0)),
            None => Ok(Field::every(kind)),
        };
        let fields = Fields {
            year: read(FieldKind::Year)?,
            month: read(FieldKind::Month)?,
            day: read(FieldKind::Day)?,
            week: read(FieldKind::Week)?,
            day_of_week: read(FieldKind::DayOfWeek)?,
            hour: read(FieldKind::Hour)?,
            minute: read(FieldKind::Minute)?,
            second: read(FieldKind::Second)?,
        };
        let restricted = !fields.day.starred && !fields.day_of_week.starred;
        let logic = match dialect {
            Dialect::Crontab if restricted => DayLogic::Either,
            Dialect::Crontab | Dialect::Seconds | Dialect::Fields => DayLogic::Both,
        };
        Ok(Self {
            fields,
            logic,
            has_seconds: dialect == Dialect::Seconds,
        })
    }
}

const WITH_SECONDS: [FieldKind; 7] = [
    FieldKind::Second,
    FieldKind::Minute,
    FieldKind::Hour,
    FieldKind::Day,
    FieldKind::Month,
    FieldKind::DayOfWeek,
    FieldKind::Year,
];

/// Where the words of `text` begin and end.
fn words(text: &str) -> Vec<(usize, usize)> {
    text.split_ascii_whitespace()
        .map(|word| {
            // Both are slices of one text, so the distance of their addresses is an offset in it.
            let from = word.as_ptr() as usize - text.as_ptr() as usize;
            (from, from + word.len())
        })
        .collect()
}

fn wrong_count(field: &str, text: &str, count: usize) -> TriggerError {
    let fields = if count == 1 { "field" } else { "fields" };
    let why = format!(
        "{count} {fields}. Allowed are 5 (minute hour day month day_of_week), 6 (second in front), \
         7 (second in front, year behind), or {}",
        known_shorthands()
    );
    TriggerError::in_text(field, text, text.len(), why)
}

fn unknown_shorthand(field: &str, text: &str) -> TriggerError {
    let why = format!("no known shorthand. Allowed are {}", known_shorthands());
    TriggerError::in_text(field, text, text.find('@').unwrap_or(0), why)
}

fn known_shorthands() -> String {
    SHORTHANDS.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_stand() {
        assert_eq!(words(" a\tbc  d"), [(1, 2), (3, 5), (7, 8)]);
    }
}
