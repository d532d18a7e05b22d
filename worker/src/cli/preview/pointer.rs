//! Where in a trigger's text the reading stopped, for texts that others read: JSON and durations.

use carillon::core::trigger::{Pointer, TriggerError};
use humantime::DurationError;
use serde::de::IgnoredAny;

/// The error, with the character of `text` to blame, where it does not tell one itself.
pub(super) fn pointed(text: &str, error: TriggerError) -> TriggerError {
    if error.pointer.is_some() {
        return error;
    }
    let text = text.trim();
    let at = match text.strip_prefix("every ") {
        Some(length) => in_duration(length).map(|at| text.len() - length.len() + at),
        None => in_json(text),
    };
    let pointer = at.and_then(|at| text.get(..at)).map(|before| Pointer {
        text: text.to_owned(),
        characters: before.chars().count(),
    });
    TriggerError { pointer, ..error }
}

/// The byte at which the text stops being JSON, if it is one line that does.
fn in_json(text: &str) -> Option<usize> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    // The column counts what was read: with the offending character, unless there was none any more.
    let read_before = error.column() - usize::from(!error.is_eof() && error.column() > 0);
    (error.line() == 1).then_some(read_before)
}

/// The byte at which the text stops being a duration, if it does.
fn in_duration(text: &str) -> Option<usize> {
    match humantime::parse_duration(text).err()? {
        DurationError::InvalidCharacter(at) | DurationError::NumberExpected(at) => Some(at),
        DurationError::UnknownUnit { start, .. } => Some(start),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon::core::trigger::TriggerSpec;

    fn place(text: &str) -> Option<usize> {
        let error = pointed(text, TriggerSpec::from_text(text).unwrap_err());
        error.pointer.map(|pointer| pointer.characters)
    }

    #[test]
    fn the_place_is_told_in_characters() {
        assert_eq!(place(" {\"hour\": ü}"), Some(9));
        assert_eq!(place("{\"ü\": x}"), Some(6));
        assert_eq!(place("{\"hour\": "), Some(8));
        assert_eq!(place("every ü"), Some(6));
        assert_eq!(place("every 1h 5x"), Some(10));
        assert_eq!(place("tomorrow"), Some(0));
    }

    #[test]
    fn what_no_character_is_to_blame_for_is_left_alone() {
        assert_eq!(place("{\"type\": \"cron\", \"huor\": 5}"), None);
        assert_eq!(place("{}"), None);
    }
}
