//! What is wrong with a trigger as typed.

use std::fmt;

use strsim::jaro_winkler;

/// Longer texts are cut when they are shown.
const MAX_SHOWN: usize = 160;
/// Longer texts are no names.
const MAX_NAME: usize = 64;

/// A field of a trigger that breaks a rule.
///
/// Shown as `field: message`, and where one character is to blame, with a second and third line
/// that repeat the value and point at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TriggerError {
    /// The field, as typed: `"minute"`, `"timezone"`, `"triggers[1].run_date"`.
    pub field: String,
    /// The value, and what is allowed instead; one line.
    pub message: String,
    /// Where in the value the reading stopped, if it is a text that was read by the character.
    pub pointer: Option<Pointer>,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The whole text.
    pub text: String,
    /// How many characters stand before the offending one (not bytes).
    pub characters: usize,
}

impl TriggerError {
    /// `field` breaks the rule that `message` tells.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            pointer: None,
        }
    }

    /// The text of `field` breaks a rule at the byte `at`; `why` tells which.
    pub(crate) fn in_text(
        field: impl Into<String>,
        text: &str,
        at: usize,
        why: impl fmt::Display,
    ) -> Self {
        let characters = text
            .char_indices()
            .take_while(|(start, _)| *start < at)
            .count();
        let shown = quoted(text);
        Self {
            pointer: Some(Pointer {
                text: text.to_owned(),
                characters,
            }),
            ..Self::new(
                field,
                format!("{shown}, character {}: {why}", characters + 1),
            )
        }
    }

    /// The same error seen from outside: `minute` becomes `triggers[1].minute`.
    #[must_use]
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }

    /// The same error under the name that the writer of the trigger knows.
    #[must_use]
    pub(crate) fn renamed(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }
}

impl fmt::Display for TriggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)?;
        if let Some(Pointer { text, characters }) = &self.pointer {
            // A text of several lines can't be pointed into, nor one that is wider than a screen.
            if !text.contains(char::is_control) && text.len() <= MAX_SHOWN {
                write!(
                    f,
                    "\n    {text}\n    {:>width$}",
                    '^',
                    width = characters + 1
                )?;
            }
        }
        Ok(())
    }
}

/// A text as it was typed, in quotes; cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}

/// The names that a mistyped one probably meant, nearest first; none where nothing is near.
pub(crate) fn near<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    // Comparing costs by the length, and no long text is a mistyped name.
    if typed.len() > MAX_NAME {
        return Vec::new();
    }
    let typed = typed.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (jaro_winkler(&typed, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored
        .into_iter()
        .take(most)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_points_at_the_character_not_the_byte() {
        let error = TriggerError::in_text("minute", "ä,x", 3, "no number");
        assert_eq!(
            error.to_string(),
            "minute: \"ä,x\", character 3: no number\n    ä,x\n      ^"
        );
    }

    #[test]
    fn a_long_text_is_cut_when_it_is_shown() {
        let error = TriggerError::in_text("minute", &"1,".repeat(5000), 9999, "no number");
        assert!(error.to_string().len() < 300, "{error}");
        assert!(near(&"minute".repeat(100), ["minute"], 1).is_empty());
    }

    #[test]
    fn near_names_come_nearest_first_and_strangers_not_at_all() {
        assert_eq!(
            near("minuts", ["minute", "minutes", "second"], 1),
            ["minutes"]
        );
        assert!(near("fortnight", ["minute", "second"], 3).is_empty());
    }
}
