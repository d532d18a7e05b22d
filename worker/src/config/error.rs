//! What is wrong with a configuration, where, and what was probably meant.

use std::fmt;

use crate::mistake;

/// A configuration that breaks rules: one line for each, with file, line, field and rule.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it was typed: a file and a line, a flag, a variable.
    pub(crate) place: String,
    /// The field, from the document inwards; empty where the place says it all.
    pub(crate) field: String,
    /// The value, and the rule that it breaks; indented lines that follow point into the value.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            field: String::new(),
            message: message.into(),
        }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl ConfigError {
    /// All problems of a check, or `value` where there are none.
    pub(crate) fn unless_empty<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(Self { problems })
        }
    }
}

impl ConfigError {
    /// Each field that breaks a rule, with its value and the rule.
    #[cfg(feature = "http")]
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let problems = self.problems.iter();
        problems.map(|problem| (problem.field.as_str(), problem.message.as_str()))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: {}: {}", self.place, self.field, self.message)
        }
    }
}

/// The text with whatever stands between `://` and the `@` of a URL replaced by `***`.
///
/// For texts that repeat what somebody typed. A password may hold any character, so everything up
/// to the last `@` of the line goes: a little too much is better than a part of a password. So does
/// what follows a `sentinel_password=`.
///
/// ```
/// use carillon::config::without_passwords;
///
/// let text = "bad value redis://me:p@ss@db:6379, sorry";
/// assert_eq!(without_passwords(text), "bad value redis://***@db:6379, sorry");
/// ```
#[must_use]
pub fn without_passwords(text: &str) -> String {
    mistake::without_passwords(text)
}
