//! Reading a cron field by the character: where the reader stands, and what went wrong there.

use super::dialect::{Dialect, FieldKind, MONTHS, WEEKDAYS, full_name};
use crate::trigger::error::{TriggerError, quoted};

/// Reads one field from left to right, and remembers where it stands.
pub(super) struct Cursor<'a> {
    pub(super) kind: FieldKind,
    pub(super) dialect: Dialect,
    pub(super) field: &'a str,
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) end: usize,
}

/// A single value, and whether it was written as a name.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) number: u16,
    pub(super) named: bool,
    pub(super) at: usize,
}

impl Cursor<'_> {
    /// A number, or the name of one, within what the field allows.
    pub(super) fn value(&mut self) -> Result<Value, TriggerError> {
        let at = self.at;
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            let number = self.number()?;
            let (least, most) = self.dialect.values(self.kind);
            if number < least || number > most {
                return Err(self.wrong_at(at, &format!("{number} is out of range")));
            }
            return Ok(Value {
                number,
                named: false,
                at,
            });
        }
        let number = match self.kind {
            FieldKind::Month => self.name(FieldKind::Month)? + 1,
            FieldKind::DayOfWeek => {
                let from_monday = self.name(FieldKind::DayOfWeek)?;
                self.dialect.weekday_number(from_monday)
            }
            _ => return Err(self.unexpected()),
        };
        Ok(Value {
            number,
            named: true,
            at,
        })
    }

    /// The name of a month or weekday: which one, from 0.
    pub(super) fn name(&mut self, kind: FieldKind) -> Result<u16, TriggerError> {
        let start = self.at;
        let letters = self
            .rest()
            .bytes()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let mut word = self.rest()[..letters].to_ascii_lowercase();
        if self.dialect != Dialect::Fields && word.len() == 4 && word.ends_with('l') {
            // `friL`: the sign is not part of the name.
            word.pop();
        }
        let (what, names): (&str, &[&str]) = match kind {
            FieldKind::Month => ("month", &MONTHS),
            _ => ("weekday", &WEEKDAYS),
        };
        // The `cron` crate also knows full names; APScheduler and crontab know three letters.
        let full = self.dialect == Dialect::Seconds && word.len() > 3;
        let known = names.iter().zip(0_u16..).find(|(name, _)| match full {
            true => full_name(name) == word,
            false => **name == word,
        });
        let Some((_, index)) = known else {
            let why = match letters {
                0 => format!("expected a {what}"),
                _ => format!("{} is no {what}", quoted(&self.rest()[..letters])),
            };
            return Err(self.wrong_at(start, &format!("{why}; they are {}", names.join(", "))));
        };
        self.at = start + word.len();
        Ok(index)
    }

    /// A number of any size that fits.
    pub(super) fn number(&mut self) -> Result<u16, TriggerError> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.unexpected());
        }
        let Ok(number) = self.rest()[..digits].parse() else {
            return Err(self.wrong("the number is too large"));
        };
        self.at += digits;
        Ok(number)
    }

    pub(super) fn is_sunday(&self, value: Value) -> bool {
        self.kind == FieldKind::DayOfWeek && self.dialect.weekday(value.number) == 6
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips `wanted`, if it is next.
    pub(super) fn skip(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Skips `word`, in any case, unless more letters follow.
    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let rest = self.rest().as_bytes();
        let found = rest.len() >= word.len()
            && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
            && !rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Skips blanks, and tells whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let blanks = self
            .rest()
            .bytes()
            .take_while(|b| *b == b' ' || *b == b'\t')
            .count();
        self.at += blanks;
        blanks > 0
    }

    /// The next character is wrong here.
    pub(super) fn unexpected(&self) -> TriggerError {
        match self.peek() {
            Some(found) => self.wrong(&format!("{found:?} is not expected here")),
            None => self.wrong("a value is missing at the end"),
        }
    }

    /// What follows is wrong.
    pub(super) fn wrong(&self, why: &str) -> TriggerError {
        self.wrong_at(self.at, why)
    }

    /// What stands at the byte `at` is wrong.
    pub(super) fn wrong_at(&self, at: usize, why: &str) -> TriggerError {
        let allowed = self.dialect.allowed(self.kind);
        let why = format!("{why}. Allowed in {} are {allowed}", self.kind.name());
        TriggerError::in_text(self.field, self.text, at, why)
    }
}
